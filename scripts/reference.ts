import {
  type CommonOption,
  commonNamesOf,
  commonOptions,
} from '../src/commands/options/common-options.ts'
import {
  type Command,
  type CommandGroup,
  type CommandSection,
  type Option,
  isGroup,
} from '../src/commands/command.ts'
import { type DriverOptions, describeInventoryFile } from '../src/state/inventory/json-schema.ts'

const written = '<!-- This page is written by `npm run docs`. Do not edit it. -->'

const cell = (text: string): string => text.replaceAll('|', String.raw`\|`).replaceAll('\n', ' ')

/** A text of the code as Markdown: what looks like a tag or a reference is escaped. */
export const prose = (text: string): string =>
  text
    .split(/(`[^`]*`)/)
    .map((part) => (part.startsWith('`') ? part : part.replaceAll(/[<>*_[\]]/g, String.raw`\$&`)))
    .join('')

/** A Markdown table; nothing without rows. */
export const table = (heading: readonly string[], rows: readonly (readonly string[])[]): string[] =>
  rows.length === 0
    ? []
    : [
        `| ${heading.join(' | ')} |`,
        `| ${heading.map(() => '---').join(' | ')} |`,
        ...rows.map((row) => `| ${row.map(cell).join(' | ')} |`),
        '',
      ]

const optionRow = ({ flags, description }: Option<unknown>): string[] => [
  `\`${flags}\``,
  prose(description),
]

function usageOf(command: Command, path: string, hasOptions: boolean): string {
  const words = Object.values(command.arguments ?? {}).map(({ usage }) => usage)
  return ['fleet', path, ...(hasOptions ? ['[options]'] : []), ...words].join(' ')
}

/** Commands that docker carries out take its options: fleet's own come before the command. */
const dockerOptions = (dockerWords: readonly string[]): string =>
  `Accepts the same arguments and options as \`${['docker', ...dockerWords].join(' ')}\`. ` +
  'Put fleet options before the command: `fleet --machine web-1 …`.'

function describeCommand(command: Command, path: string, level: string): string[] {
  const own = Object.values(command.options ?? {})
  const common = commonNamesOf(command)
  const passes = command.passesThrough === true
  const aliases = (command.aliases ?? []).map(
    (alias) => `\`fleet ${[...path.split(' ').slice(0, -1), alias].join(' ')}\``,
  )
  return [
    `${level} fleet ${path}`,
    '',
    `${prose(command.summary)}.`,
    '',
    '```text',
    usageOf(command, path, !passes),
    '```',
    '',
    ...(aliases.length > 0 ? [`Also: ${aliases.join(', ')}.`, ''] : []),
    ...(command.description === undefined ? [] : [prose(command.description), '']),
    ...(passes ? [dockerOptions(command.dockerWords ?? []), ''] : []),
    ...table(
      ['Argument', 'Description'],
      Object.values(command.arguments ?? {}).map(({ usage, description }) => [
        `\`${usage}\``,
        prose(description),
      ]),
    ),
    ...table(['Option', 'Description'], own.map(optionRow)),
    ...(command.moreOptions === undefined
      ? []
      : ['The options of the driver are also accepted: see the page of each driver.', '']),
    `${passes ? 'Before the command' : 'Common options'}: ${common
      .map((name) => `\`--${longNameOf(name)}\``)
      .join(', ')}.`,
    '',
    ...(command.examples === undefined || command.examples.length === 0
      ? []
      : ['```sh', ...command.examples, '```', '']),
  ]
}

const longNameOf = (name: CommonOption): string =>
  /--([a-z-]+)/.exec(commonOptions[name].flags)?.[1] ?? name

const visible = (entry: Command | CommandGroup): boolean => isGroup(entry) || entry.hidden !== true

function describeEntry(entry: Command | CommandGroup): string[] {
  if (!isGroup(entry)) return describeCommand(entry, entry.name, '###')
  const title = `${prose(entry.summary)}.`
  const verbs = entry.commands.filter(visible)
  return [
    `### fleet ${entry.name}`,
    '',
    title,
    '',
    ...verbs.flatMap((command) =>
      describeCommand(command, `${entry.name} ${command.name}`, '####'),
    ),
  ]
}

/** docs/commands.md, from the definitions of the commands. */
export function writeCommands(sections: readonly CommandSection[]): string {
  return [
    written,
    '',
    '# Commands',
    '',
    'Every command of fleet with its arguments and options. `fleet COMMAND --help` shows the same in a terminal.',
    '',
    '## Common options',
    '',
    'Each command lists which of these it accepts. You can put them before or after the command name; for commands that take docker options, put them before it.',
    '',
    ...table(['Option', 'Description'], Object.values(commonOptions).map(optionRow)),
    ...sections.flatMap(({ title, entries }) => [
      `## ${title}`,
      '',
      ...entries.filter(visible).flatMap(describeEntry),
    ]),
  ].join('\n')
}

/** What is read of a JSON Schema here. */
export interface Schema {
  readonly $ref?: string
  readonly type?: string
  readonly description?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly Schema[]
  readonly items?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema | boolean
  readonly required?: readonly string[]
}

const code = (value: unknown): string =>
  `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``

/** The type of a value, for a table. */
export function typeOf(schema: Schema): string {
  const { type, const: only, enum: choices, anyOf, items } = schema
  if (only !== undefined) return code(only)
  if (choices !== undefined) return choices.map(code).join(', ')
  if (anyOf !== undefined && schema.properties === undefined) {
    return anyOf
      .filter((one) => one.type !== 'null')
      .map(typeOf)
      .join(' or ')
  }
  if (type === 'array') return `list of ${items === undefined ? 'values' : `${typeOf(items)}s`}`
  if (type === 'object') return 'mapping'
  return type ?? 'any value'
}

/** The mapping that a schema allows, if it allows one. */
const mappingIn = (schema: Schema | undefined): Schema | undefined =>
  schema?.type === 'object' ? schema : schema?.anyOf?.find(({ type }) => type === 'object')

const entryIn = (schema: Schema | undefined): Schema | undefined => {
  const more = mappingIn(schema)?.additionalProperties
  return typeof more === 'object' ? more : undefined
}

const fields = (schema: Schema | undefined, prefix = ''): string[] =>
  table(
    ['Field', 'Value', 'Description'],
    Object.entries(mappingIn(schema)?.properties ?? {}).map(([name, field]) => [
      `\`${prefix}${name}\``,
      `${typeOf(field)}${schema?.required?.includes(name) === true ? ' (required)' : ''}`,
      prose(field.description ?? ''),
    ]),
  )

const fieldsBegin = '<!-- fields: written by `npm run docs` -->'
const fieldsEnd = '<!-- end of fields -->'

function describeFields(drivers: readonly DriverOptions[]): string {
  const file = describeInventoryFile(drivers) as Schema
  const top = file.properties ?? {}
  const machine = entryIn(top['machines'])
  const profile = entryIn(top['profiles'])
  const operator = entryIn(top['operators'])
  const onlyCount = { type: 'object', properties: { count: profile?.properties?.['count'] ?? {} } }
  return [
    '## The file',
    '',
    ...fields(file),
    '## operators',
    '',
    'An entry is either a public key or a mapping:',
    '',
    ...fields(mappingIn(operator)),
    '## machines',
    '',
    'An entry has a `driver` or `extends` a profile. The other fields are optional.',
    '',
    ...fields(machine),
    '### engine',
    '',
    ...fields(mappingIn(machine?.properties?.['engine'])),
    '### options',
    '',
    ...drivers.flatMap(({ name, options }) => [
      `Options of the driver \`${name}\`: ${Object.keys(options.shape)
        .map((key) => `\`${key}\``)
        .join(', ')}.`,
      '',
    ]),
    '### host',
    '',
    'fleet writes this record. Do not edit it.',
    '',
    ...fields(machine?.properties?.['host']),
    '## profiles',
    '',
    'A profile has the fields of a machine except `host` and `stopped`, and one more:',
    '',
    ...fields(onlyCount),
  ].join('\n')
}

/** docs/machines-yaml.md with its fields as the schema has them now. Throws where the page has no place for them. */
export function replaceFields(page: string, drivers: readonly DriverOptions[]): string {
  const [before, rest] = page.split(`${fieldsBegin}\n`)
  const after = rest?.split(fieldsEnd)[1]
  if (before === undefined || after === undefined) {
    throw new Error(`docs/machines-yaml.md has no lines ${fieldsBegin} and ${fieldsEnd}`)
  }
  return `${before}${fieldsBegin}\n\n${describeFields(drivers)}\n${fieldsEnd}${after}`
}
