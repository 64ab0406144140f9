import * as z from 'zod'
import { type Schema, prose, table, typeOf } from '../reference.ts'
import { type JsonOutput, jsonOutputs } from './outputs.ts'

const written = '<!-- This page is written by `npm run docs`. Do not edit it. -->'

const all = jsonOutputs.flatMap(({ outputs }) => outputs)

/** The JSON Schema (2020-12) of all results: `#/$defs/ls` is that of `fleet ls --json`. */
export function describeJsonOutput(): { readonly $defs: Readonly<Record<string, Schema>> } {
  const shapes = Object.fromEntries(all.map(({ id, schema }) => [id, schema]))
  const { $defs, properties, $schema } = z.toJSONSchema(z.strictObject(shapes), { io: 'output' })
  return { $schema, title: 'Output of fleet with --json', $defs: { ...$defs, ...properties } } as {
    $defs: Readonly<Record<string, Schema>>
  }
}

/** The text of docs/json-output.schema.json. */
export const writeJsonOutputSchema = (): string =>
  `${JSON.stringify(describeJsonOutput(), undefined, 2)}\n`

/** The objects that a schema describes: itself, the items of an array, or the cases of a union. */
function objectsIn(schema: Schema): readonly Schema[] {
  if (schema.properties !== undefined) return [schema]
  if (schema.items !== undefined) return objectsIn(schema.items)
  return (schema.anyOf ?? []).flatMap(objectsIn)
}

const rowsOf = (schema: Schema, prefix: string): string[][] =>
  Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const path = `${prefix}${name}`
    const nested = objectsIn(field)
    const type = field.$ref?.replace(/.*\//, '') ?? typeOf(field)
    const isOptional = schema.required?.includes(name) !== true
    return [
      [`\`${path}\``, `${type}${isOptional ? ' (optional)' : ''}`, prose(field.description ?? '')],
      ...nested.flatMap((one) => rowsOf(one, `${path}${field.items === undefined ? '' : '[]'}.`)),
    ]
  })

/** Rows of tables with those removed that another case of a union has too. */
const distinct = (rows: readonly (readonly string[])[]): readonly (readonly string[])[] => [
  ...new Map(rows.map((row) => [row[0], row])).values(),
]

function describeOutput({ id, commands, form, note }: JsonOutput, schema: Schema): string[] {
  const names = commands.map((command) => `fleet ${command}`)
  return [
    `### ${names.length > 0 ? names.join(', ') : id}`,
    '',
    `Schema \`${id}\`: ${form}.`,
    '',
    ...(note === undefined ? [] : [note, '']),
    ...table(
      ['Field', 'Value', 'Description'],
      distinct(objectsIn(schema).flatMap((one) => rowsOf(one, ''))),
    ),
  ]
}

const introduction = `# JSON output

With \`--json\` a command prints its result on stdout as JSON: one value, on one line in a pipe and indented on a terminal.
\`logs\`, \`events\` and \`ssh\` print one object per line, and so does \`stats\` without \`--no-stream\`.

- A field without a value is absent. Times are in UTC.
- In results about machines the machine is \`name\`. In results about something on a machine, such as a container, it is
  \`machine\`.
- Arrays are in the order of the inventory.
- Later versions may add fields: ignore fields that you do not know.

[json-output.schema.json](json-output.schema.json) is a JSON Schema (2020-12) of everything on this page. The definition of a
command is named after it: \`#/$defs/ls\`, \`#/$defs/operatorLs\`. It describes this version of fleet and allows no other
fields.

Commands that docker carries out (\`run\`, \`exec\`, \`build\`, \`compose\` and others) print what docker prints, and have docker's
\`--format\`.`

const aboutMessages = [
  'Lines of stderr that begin with `{` are JSON; other lines are messages for people. Progress comes from commands that take',
  'longer. [Scripting](scripting.md#errors) has the exit code of each kind of error.',
  '',
]

/** docs/json-output.md. */
export function writeJsonOutputPage(): string {
  const { $defs } = describeJsonOutput()
  return [
    written,
    '',
    introduction,
    '',
    ...jsonOutputs.flatMap(({ title, outputs }) => [
      `## ${title}`,
      '',
      ...(title.includes('stderr') ? aboutMessages : []),
      ...outputs.flatMap((output) => describeOutput(output, $defs[output.id] ?? {})),
    ]),
  ].join('\n')
}
