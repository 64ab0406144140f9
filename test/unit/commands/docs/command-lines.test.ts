import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { literalsOf } from '../../../support/source-literals.ts'
import { findGroup } from '../../../../src/commands/find-command.ts'
import { commandOptions, findCommand, hasTooManyArguments } from './typed-command.ts'
import { readPages, repository } from './pages.ts'

/** Splits a shell command into words without quotes, up to a comment, a pipe or the next command. */
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

/** Returns what is wrong with the words after `fleet`, or undefined if they are a valid command line. */
function problemOf(words: readonly string[]): string | undefined {
  const found = findCommand(words)
  if (typeof found === 'string') return found
  const known = commandOptions(found.command)
  const options = found.words
    .map((word) => /^--?[a-zA-Z][\w-]*/.exec(word)?.[0])
    .filter((option) => option !== undefined)
  const unknown = options.find((option) => !known.has(option))
  if (unknown !== undefined) return `no option ${unknown}`
  return hasTooManyArguments(found.command, found.words) ? 'too many arguments' : undefined
}

it('every command line in a fenced code block has a command and options that exist', async () => {
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

it('every command line between backquotes has a command, options and arguments that exist', async () => {
  const pages = (await readPages()).filter(({ path }) => path !== 'docs/commands.md')
  const lines = pages.flatMap(({ path, text }) =>
    Array.from(
      text.replaceAll(/^ *```[^]*?^ *```/gm, '').matchAll(/`fleet ([^`]+)`/g),
      ([, line = '']) => ({ path, line: line.replaceAll(/\s+/g, ' ') }),
    ),
  )
  const problems = lines.flatMap(({ path, line }) => {
    const words = wordsOf(line)
    const problem = problemOf(words)
    const isPart = words.length === 1 && findGroup(words[0] ?? '') !== undefined
    return problem === undefined || isPart || /COMMAND|\|/.test(line)
      ? []
      : [`${path}: fleet ${line}: ${problem}`]
  })
  expect(lines.length).toBeGreaterThan(100)
  expect(problems).toEqual([])
})

/**
 * Returns whether a word after `fleet` continues a sentence about the program, or is part of a shell script or
 * template.
 */
const isNoCommand = (word: string): boolean =>
  /^(?:[a-z]+s|can|cannot|created|did|either|for|in|inventory|itself|machine|started|there|to|will|without|would)$/.test(
    word,
  ) || !/^(?:[a-z][a-z-]*|-.*)$/.test(word)

/** Returns the command lines in a message, without `fleet` and the rest of the sentence. */
function commandLinesIn(literal: string): string[] {
  const text = literal
    .slice(1, -1)
    .replaceAll(/\$\{(?:[^{}]|\{[^{}]*\})*(?:\}|$)/g, 'PLACEHOLDER')
    .replaceAll(/\\(['"`])/g, '$1')
  const introduced = /(?:^|[:;(`"] ?|&& |\b(?:run|then|or|and|with|see|use|after|from) )fleet (.*)/g
  const following =
    /[,;]? (?:afterwards|again|and|before|for|found|in|on|or|reads|shows|there|then|to|when|will)\b|[,;:)`"]|\.(?: |$)|\\n| \(/
  return Array.from(text.matchAll(introduced), ([, rest = '']) => rest.split(following)[0] ?? '')
}

it('every command line in a message has a command, options and arguments that exist', async () => {
  const root = join(repository, 'src')
  const files = (await readdir(root, { recursive: true })).filter((file) => file.endsWith('.ts'))
  const lines = await Promise.all(
    files.map(async (file) =>
      literalsOf(await readFile(join(root, file), 'utf8'))
        .flatMap(commandLinesIn)
        .map((line) => ({ file, line, words: wordsOf(line) })),
    ),
  )
  const all = lines.flat().filter(({ words: [verb = ''] }) => !/PLACEHOLDER/.test(verb))
  const problems = all.flatMap(({ file, line, words }) => {
    const problem = problemOf(words)
    const isSentence =
      problem?.startsWith('no command') === true &&
      (isNoCommand(words[0] ?? '') || problem.includes('PLACEHOLDER'))
    return problem === undefined || isSentence ? [] : [`${file}: fleet ${line}: ${problem}`]
  })
  expect(all.length).toBeGreaterThan(300)
  expect(problems).toEqual([])
})
