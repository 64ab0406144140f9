import {
  type Command,
  type CommandGroup,
  type CommandSection,
  type Option,
  isGroup,
} from '../src/commands/command.ts'
import { type Topic, topics } from '../src/commands/help/topics.ts'
import { overview } from '../src/commands/help/overview.ts'
import { commonOptions, commonOptionsOf } from '../src/commands/options/common-options.ts'

/** A manual page. */
export interface ManPage {
  /** The name of its file, such as `fleet-ps.1`. */
  readonly file: string
  readonly text: string
}

const special: Readonly<Record<string, string>> = {
  '\\': String.raw`\e`,
  '-': String.raw`\-`,
  "'": String.raw`\(aq`,
  '`': String.raw`\(ga`,
  '^': String.raw`\(ha`,
  '~': String.raw`\(ti`,
  '"': String.raw`\(dq`,
}

/** Escapes a character for roff. Control characters become spaces. */
function escapeCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0
  if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return ' '
  if (code < 0x7f) return special[character] ?? character
  return String.raw`\[u${code.toString(16).toUpperCase().padStart(4, '0')}]`
}

/** Escapes a line of text for roff: requests, escapes, and hyphens, which could not be copied as hyphens otherwise. */
export const escapeRoff = (line: string): string =>
  Array.from(line, escapeCharacter)
    .join('')
    .replace(/^\./, String.raw`\&.`)

const bold = (text: string): string => `\\fB${escapeRoff(text)}\\fR`

/** Formats a usage line or the flags of an option: placeholders are italic, the rest is bold. */
const usageText = (usage: string): string =>
  usage
    .split(/(<[^>]*>|\[[^\]]*\])/)
    .filter((part) => part !== '')
    .map((part) => (/^[<[]/.test(part) ? `\\fI${escapeRoff(part)}\\fR` : bold(part)))
    .join('')

const section = (title: string, lines: readonly string[]): string[] =>
  lines.length === 0 ? [] : [`.SH ${title}`, ...lines]

const paragraph = (text: string): string[] => ['.PP', escapeRoff(text)]

/** Formats lines that are printed without filling. */
const verbatim = (lines: readonly string[]): string[] => [
  '.PP',
  '.nf',
  ...lines.map((line) => (line === '' ? String.raw`\&` : escapeRoff(line))),
  '.fi',
]

const linesOf = (text: string): string[] => text.trimEnd().split('\n')

const item = (head: string, text: string): string[] => ['.TP', usageText(head), escapeRoff(text)]

/** Returns the head of a page, which is left-aligned and without hyphenation to keep words and options intact. */
const title = (name: string, chapter: number): string[] => [
  `.TH ${escapeRoff(name.toUpperCase())} ${chapter} "" "fleet" "fleet manual"`,
  '.ad l',
  '.nh',
]

const nameLines = (name: string, summary: string): string[] =>
  section('NAME', [
    String.raw`${escapeRoff(name)} \- ${escapeRoff(summary.charAt(0).toLowerCase() + summary.slice(1))}`,
  ])

const page = (file: string, lines: readonly string[]): ManPage => ({
  file,
  text: `${lines.join('\n')}\n`,
})

const optionItems = (options: readonly Option<unknown>[]): string[] =>
  options.flatMap(({ flags, description }) => item(flags, description))

const argumentItems = ({ arguments: all = {} }: Command): string[] =>
  Object.values(all).flatMap(({ usage, description }) => item(usage, description))

function synopsis(command: Command, path: string): string {
  const words = Object.values(command.arguments ?? {}).map(({ usage }) => usage)
  const own = command.passesThrough === true ? [] : ['[options]']
  const rest = [...own, ...words].join(' ')
  return `${bold(`fleet ${path}`)}${rest === '' ? '' : ` ${usageText(rest)}`}`
}

/** Returns the paragraph about options that are documented elsewhere. */
function otherOptions(command: Command): string[] {
  const common = commonOptionsOf(command).map(({ flags }) => flags.split(' <')[0])
  const shared = `Common options (see fleet help options): ${common.join('; ')}.`
  if (command.passesThrough === true) {
    const words = ['docker', ...(command.dockerWords ?? [])].join(' ')
    return paragraph(
      `This command accepts the same arguments and options as ${words}. Put fleet options before the command: fleet --machine web-1 … ${shared}`,
    )
  }
  const driver =
    command.moreOptions === undefined
      ? ''
      : 'The options of a driver: fleet create --driver NAME --help. '
  return paragraph(`${driver}${shared}`)
}

const describe = (command: Command): string[] => [
  ...paragraph(command.description ?? `${command.summary}.`),
  ...(command.aliases === undefined
    ? []
    : paragraph(`Other names of this command: ${command.aliases.join(', ')}.`)),
]

const seeAlso = (names: readonly string[]): string[] =>
  section('SEE ALSO', [names.map((name) => `${bold(name)}(1)`).join(', ')])

function commandPage(command: Command): ManPage {
  const name = `fleet-${command.name}`
  const examples = command.examples ?? []
  return page(`${name}.1`, [
    ...title(name, 1),
    ...nameLines(name, command.summary),
    ...section('SYNOPSIS', [synopsis(command, command.name)]),
    ...section('DESCRIPTION', describe(command)),
    ...section('OPTIONS', [
      ...argumentItems(command),
      ...optionItems(Object.values(command.options ?? {})),
      ...otherOptions(command),
    ]),
    ...section('EXAMPLES', examples.length === 0 ? [] : verbatim(examples)),
    ...seeAlso(['fleet']),
  ])
}

function groupPage(group: CommandGroup): ManPage {
  const name = `fleet-${group.name}`
  const commands = group.commands.filter(({ hidden }) => hidden !== true)
  return page(`${name}.1`, [
    ...title(name, 1),
    ...nameLines(name, group.summary),
    ...section(
      'SYNOPSIS',
      commands.flatMap((command) => [synopsis(command, `${group.name} ${command.name}`), '.br']),
    ),
    ...section(
      'COMMANDS',
      commands.flatMap((command) => [
        `.SS ${escapeRoff(`fleet ${group.name} ${command.name}`)}`,
        ...describe(command),
        ...argumentItems(command),
        ...optionItems(Object.values(command.options ?? {})),
        ...otherOptions(command),
        ...(command.examples === undefined ? [] : verbatim(command.examples)),
      ]),
    ),
    ...seeAlso(['fleet']),
  ])
}

const topicSummaries: Readonly<Record<Topic, string>> = {
  selectors: 'choose the machines that a command uses',
  options: 'options that all commands have in common',
  environment: 'environment variables that fleet reads',
  output: 'output formats of fleet',
  'exit-codes': 'exit codes of fleet',
}

function topicPage(topic: Topic): ManPage {
  const name = `fleet-${topic}`
  return page(`${name}.7`, [
    ...title(name, 7),
    ...nameLines(name, topicSummaries[topic]),
    ...section('DESCRIPTION', verbatim(linesOf(topics[topic]))),
    ...seeAlso(['fleet']),
  ])
}

function mainPage(entries: readonly (Command | CommandGroup)[]): ManPage {
  const groups = overview.flatMap(({ title: heading, lines }) => [
    `.SS ${escapeRoff(heading)}`,
    ...lines.flatMap(({ commands, text }) => ['.TP', bold(commands.join(', ')), escapeRoff(text)]),
  ])
  const names = entries.map(({ name }) => `fleet-${name}`)
  return page('fleet.1', [
    ...title('fleet', 1),
    ...nameLines('fleet', 'manage Docker hosts in one file and run containers on them over SSH'),
    ...section('SYNOPSIS', [`${bold('fleet')} ${usageText('[options] <command>')}`]),
    ...section('DESCRIPTION', [
      ...paragraph(
        'fleet keeps Docker hosts in one file, machines.yaml, which people share in git. It creates hosts at providers or adopts existing ones, reaches all of them over SSH, and runs docker commands on one machine or on many.',
      ),
      ...paragraph(
        'A command COMMAND is described in the page fleet-COMMAND(1), and by fleet COMMAND --help.',
      ),
    ]),
    ...section('COMMANDS', groups),
    ...section('COMMON OPTIONS', [
      ...paragraph(
        'Each command lists which of these it accepts. You can put them before or after the command name; for commands that take docker options, put them before it.',
      ),
      ...optionItems(Object.values(commonOptions)),
    ]),
    ...section('ENVIRONMENT', verbatim(linesOf(topics.environment))),
    ...section('EXIT STATUS', verbatim(linesOf(topics['exit-codes']))),
    ...seeAlso(names),
  ])
}

const isVisible = (entry: Command | CommandGroup): boolean =>
  isGroup(entry) || entry.hidden !== true

/** Returns the manual pages of all commands and help topics, in the format of man(7). */
export function writeManPages(sections: readonly CommandSection[]): ManPage[] {
  const entries = sections.flatMap((one) => one.entries).filter(isVisible)
  return [
    mainPage(entries),
    ...entries.map((entry) => (isGroup(entry) ? groupPage(entry) : commandPage(entry))),
    ...(Object.keys(topics) as Topic[]).map(topicPage),
  ]
}
