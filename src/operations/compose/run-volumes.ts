import { resolve } from 'node:path'
import { type Word, valuesOf } from '../../docker/command-line.ts'

/** The source of a volume, if it is a relative path: `./a:/b`. */
const relativeSource = /^(\.{1,2}(?:[/\\][^:]*)?):/

/** The local paths of `compose run --volume`. */
export const volumesTyped = (words: readonly Word[], cwd: string): string[] =>
  valuesOf(words, '--volume').flatMap((value) => {
    const source = relativeSource.exec(value)?.[1]
    return source === undefined ? [] : [resolve(cwd, source)]
  })

/** Replaces the local paths of `compose run --volume` with the results of `map`. */
export const mapVolumes = (
  words: readonly Word[],
  cwd: string,
  map: (path: string) => string,
): Word[] =>
  words.map((word) => {
    if (word.kind !== 'flag' || word.name !== '--volume' || word.value === undefined) return word
    const source = relativeSource.exec(word.value)?.[1]
    if (source === undefined) return word
    return { ...word, value: `${map(resolve(cwd, source))}${word.value.slice(source.length)}` }
  })
