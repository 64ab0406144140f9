import { expect, it } from 'vitest'
import { commandOptions, findCommand } from './typed-command.ts'
import { readPages } from './pages.ts'

/** The words of a shell command, without quotes, up to a comment, a pipe or the next command. */
function wordsOf(line: string): string[] {
  const words: string[] = []
  for (const [token] of line.matchAll(/\s+|(?:"[^"]*"|'[^']*'|\\.|[^\s"'\\])+/g)) {
    if (token.trim() === '') continue
    if (/^(?:#|\||&&|;|>|<)/.test(token)) break
    const word = token.replaceAll(/["']/g, '')
    words.push(word.replace(/[;)]+$/, ''))
    if (/[;)]$/.test(word)) break
  }
  return words
}

/** What is wrong with the words after `fleet`. */
function problemOf(words: readonly string[]): string | undefined {
  const found = findCommand(words)
  if (typeof found === 'string') return found
  const known = commandOptions(found.command)
  const options = found.words
    .map((word) => /^--?[a-zA-Z][\w-]*/.exec(word)?.[0])
    .filter((option) => option !== undefined)
  const unknown = options.find((option) => !known.has(option))
  return unknown === undefined ? undefined : `no option ${unknown}`
}

it('every command line in a fenced block names a command and options that exist', async () => {
  const pages = await readPages()
  const lines = pages.flatMap(({ path, text }) =>
    Array.from(text.matchAll(/^ *```(?:sh|console|bash)\n([^]*?)^ *```/gm)).flatMap(
      ([, block = '']) =>
        block
          .replaceAll(/\\\n\s*/g, ' ')
          .split('\n')
          .flatMap((line) =>
            Array.from(
              line.matchAll(/(?:^ *(?:\$ )?|[(;|] *|&& )fleet (.*)/g),
              ([, rest = '']) => ({
                path,
                line,
                rest,
              }),
            ),
          ),
    ),
  )
  const problems = lines.flatMap(({ path, line, rest }) => {
    const problem = problemOf(wordsOf(rest))
    return problem === undefined ? [] : [`${path}: ${line.trim()}: ${problem}`]
  })
  expect(lines.length).toBeGreaterThan(50)
  expect(problems).toEqual([])
})
