import { readFile, readdir } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { type Argument, type Command, type Option, isGroup } from '../../src/commands/command.ts'
import { topics } from '../../src/commands/help/topics.ts'
import { overview } from '../../src/commands/help/overview.ts'
import { commandList } from '../../src/commands/index.ts'
import { commonOptions } from '../../src/commands/options/common-options.ts'
import { literalsOf } from '../support/source-literals.ts'

/** Phrases that texts for users must not contain, each with a better phrase or the reason. */
const banned: readonly (readonly [phrase: RegExp, better: string])[] = [
  [/\b(?:is|are|was|were|be) told\b|\bunless told\b|\btold to\b/, 'reported, default'],
  [/\bsaid\b/, 'given, set'],
  [/\bgoes\b|\bwould go\b|\bgo on\b/, 'is removed, continues'],
  [/\b(?:let|lets|letting) (?:\w+ )?in\b/, 'authorize, accept'],
  [/\b(?:take|takes|taken) in\b/, 'adopt, add'],
  [/\b(?:take|takes|taken) away\b/, 'remove'],
  [/\bwhatever\b/i, 'any'],
  [/\bhalf made\b/, 'partly created'],
  [/\bcut short\b/, 'interrupted'],
  [/\b(?:was|were|what is) begun\b/, 'started'],
  [/\bstands? for\b/, 'is, means'],
  [/\bof its own\b|\bof their own\b/, 'its own'],
  [/\b(?:is|are) to be\b/, 'will be'],
  [/\bwho may\b/, 'users who can'],
  [/\bmeanwhile\b/i, ''],
  [/\bbeside\b/, 'next to'],
  [/\bby itself\b/, 'automatically'],
  [/\bnothing is asked\b/i, 'does not prompt'],
  [/\bfound out\b/, 'detected'],
  [/\bvouches?\b/, 'unknown host key'],
  [/\ball the same\b/, 'anyway'],
  [/\bleft alone\b|\bleft as (?:it is|they are)\b/, 'skipped, unchanged'],
  [/\bleft out\b/, 'skipped'],
  [/\bhas (?:it|them) not\b/, 'does not have'],
  [/\bno more$|\bany more$/, 'no longer'],
  [/\bhalf of it\b/, 'partly'],
  [/\bis not there\b|\bthere already\b/, 'does not exist, already exists'],
  [/\bhow it is\b|\bhow they are\b/, 'state'],
  [/\bnot meant to\b/, ''],
  [/\bnothing came\b/, 'no data'],
  [/\bhad its say\b/, 'is applied first'],
  [/\bdoes without\b/, 'is not used'],
  [/\bin vain\b/, 'without success'],
  [/\bto be had\b/, 'available'],
  [/\bwhichever\b/i, 'the one that'],
  [/\b(?:the|no) person\b/, 'the user'],
  [/\bsomebody\b|\bnobody\b/i, 'another user, no one'],
  [/\bbrings? about\b/, 'change, cause'],
  [/\banew\b/, 'again'],
  [/\bhand(?:s|ed)? over\b/, 'pass'],
  [/\btak(?:es|en) back\b/, 'reclaimed'],
  [/\bdid not make\b/, 'did not create'],
  [/\bcould not make\b/, 'could not create'],
  [/\bwhere there is\b/, 'if there is'],
  [/\bholds no\b/, 'contains no'],
  [/\b(?:see|in) docs\//, "fleet's documentation: docs/…"],
]

const wrongIn = (text: string): string[] =>
  banned.flatMap(([phrase, better]) => {
    const found = phrase.exec(text.replaceAll(/\$\{[^}]*\}/g, '…'))?.[0]
    return found === undefined ? [] : [`"${found}" (better: ${better}) in: ${text}`]
  })

const allCommands = commandList.flatMap(({ entries }) =>
  entries.flatMap((entry) =>
    isGroup(entry)
      ? entry.commands.map((command) => ({ path: `${entry.name} ${command.name}`, command }))
      : [{ path: entry.name, command: entry }],
  ),
)

const summaries = [
  ...allCommands.map(({ path: where, command }) => ({ where, text: command.summary })),
  ...commandList.flatMap(({ entries }) =>
    entries.filter(isGroup).map(({ name, summary }) => ({ where: name, text: summary })),
  ),
]

const argumentsOf = (command: Command): Argument<unknown>[] =>
  Object.values(command.arguments ?? {})
const optionsOf = (command: Command): Option<unknown>[] => Object.values(command.options ?? {})

test('help has no banned phrases', () => {
  const texts = [
    ...summaries.map(({ text }) => text),
    ...allCommands.flatMap(({ command }) => [
      command.description ?? '',
      ...argumentsOf(command).map(({ description }) => description),
      ...optionsOf(command).map(({ description }) => description),
    ]),
    ...Object.values(commonOptions).map(({ description }) => description),
    ...Object.values(topics),
    ...overview.flatMap(({ lines }) => lines.map(({ text }) => text)),
  ]
  expect(texts.flatMap(wrongIn)).toEqual([])
})

test('summaries are short and start with a verb', () => {
  const wrong = summaries.filter(
    ({ text }) => text.length >= 60 || text.endsWith('.') || !/^[A-Z][a-z]+,? /.test(text),
  )
  expect(wrong).toEqual([])
})

test('descriptions are complete sentences', () => {
  const wrong = allCommands.filter(
    ({ command: { description } }) =>
      description !== undefined && !/^[A-Z].*\.$/s.test(description),
  )
  expect(wrong.map(({ path: where }) => where)).toEqual([])
})

test('descriptions of options are not sentences, and their placeholders name the value', () => {
  const wrong = allCommands.flatMap(({ path: where, command }) =>
    optionsOf(command)
      .filter(
        ({ flags, description }) =>
          description.endsWith('.') || /^(?:the|a) /i.test(description) || /<text>/.test(flags),
      )
      .map(({ flags, description }) => `${where}: ${flags}  ${description}`),
  )
  expect(wrong).toEqual([])
})

const root = path.join(import.meta.dirname, '../..')

const read = async (file: string): Promise<[string, string]> => [
  file,
  await readFile(path.join(root, file), 'utf8'),
]

/** Resolves to the TypeScript and JavaScript files in directories of the project, with their content. */
async function sourcesIn(
  ...directories: readonly string[]
): Promise<[file: string, source: string][]> {
  const names = await Promise.all(
    directories.map(async (directory) =>
      (await readdir(path.join(root, directory), { recursive: true }))
        .filter((name) => /\.m?ts$|\.mjs$/.test(name))
        .map((name) => `${directory}/${name.replaceAll('\\', '/')}`),
    ),
  )
  return Promise.all(names.flat().map(read))
}

test('messages have no banned phrases', async () => {
  const wrong = (await sourcesIn('src')).flatMap(([file, source]) =>
    literalsOf(source)
      .filter((text) => / [a-z]/.test(text))
      .flatMap(wrongIn)
      .map((message) => `${file}: ${message}`),
  )
  expect(wrong).toEqual([])
})

/** Phrases that comments and test titles must not contain, each with a better phrase or the reason. */
const bannedInComments: readonly (readonly [phrase: RegExp, better: string])[] = [
  [/\bof (?:its|their) own\b(?! \w)/, 'its own, separate'],
  [/\banew\b/, 'again'],
  [/\b(?:is|are|was|were) told\b/, 'is reported'],
  [/\bsomebody\b|\bnobody\b/i, 'another user, no one'],
  [/\bbeside\b/, 'next to'],
  [/\bin vain\b/, 'without success'],
  [/\bto be had\b/, 'available'],
  [/\bunless told\b/, 'default'],
  [/\bwhat(?:so)?ever\b/i, 'any, all'],
  [/\bwhoever\b/i, 'the user, the caller'],
  [/\bthere where\b/i, 'present if'],
  [/\bhalf made\b/, 'partly created'],
  [/\bhad its say\b/, 'is applied first'],
  [/\bvouch(?:es)?\b/, 'trusted'],
  [/\bof one's own\b/, 'direct, separate'],
  [/\bgoes on\b/, 'continues'],
  [/\blets? (?:\w+ )?in\b/, 'authorize, accept'],
  [/\bmeanwhile\b/i, ''],
  [/\bGives\b/, 'Returns'],
  [/\bTells\b/, 'Reports, identifies'],
  [/\bThrown inside\b/, 'Never shown to the user'],
  [/\bis told (?:of|to)\b/, 'is reported to'],
]

/** Comments, and titles of tests. */
const commentsAndTitles =
  /\/\*\*?[^]*?\*\/|(?<=\s)\/\/ [^\n]*|\b(?:test|it|describe)(?:\.\w+)*\((?:'[^'\n]*'|"[^"\n]*")/g

test('comments and test titles have no banned phrases', async () => {
  const wrong = (await sourcesIn('src', 'test', 'bench', 'scripts')).flatMap(([file, source]) =>
    (source.match(commentsAndTitles) ?? []).flatMap((text) =>
      bannedInComments.flatMap(([phrase, better]) => {
        const found = phrase.exec(text)?.[0]
        return found === undefined ? [] : [`${file}: "${found}" (better: ${better})`]
      }),
    ),
  )
  expect(wrong).toEqual([])
})
