import { humanAge, humanSize, shorten } from '../../ui/human-units.ts'
import type { Column } from '../../ui/table.ts'
import { defineCommand, required } from '../command.ts'
import { listFromEngines } from '../multi/query-engines.ts'
import { type Truncation, noTruncOption, truncationOf } from '../options/truncation.ts'

/** A build step of an image, as `fleet history` shows it. The size is in bytes. */
interface Row {
  readonly image: string
  readonly created: string
  readonly createdBy: string
  readonly size: number
  readonly comment: string
}

const columnsOf = ({ fullIds, fullCommands }: Truncation): Column<Row>[] => [
  {
    title: 'IMAGE',
    text: (row) => (fullIds ? row.image : row.image.replace(/^sha256:(.{12}).*/, '$1')),
    width: 12,
    drop: 3,
  },
  {
    title: 'CREATED',
    text: (row) => humanAge(Date.parse(row.created) / 1000),
    width: 13,
    drop: 2,
  },
  {
    title: 'CREATED BY',
    text: ({ createdBy }) => (fullCommands ? createdBy : shorten(createdBy, 45)),
    width: 45,
  },
  { title: 'SIZE', text: (row) => humanSize(row.size), width: 7, keep: true },
  { title: 'COMMENT', text: (row) => row.comment, drop: 1 },
]

export const history = defineCommand({
  name: 'history',
  summary: 'Show the build history of an image',
  arguments: { image: required('image', 'image name or ID', 'image') },
  options: { trunc: noTruncOption },
  targets: 'many',
  gathers: true,
  answers: 'json',
  runsInBroker: () => true,
  async run({ args, options, ...invocation }) {
    const { readHistory } = await import('../../engine/images.ts')
    return listFromEngines(invocation, {
      list: async (engine, signal) =>
        (await readHistory(engine, args.image, signal)).map((step) => ({
          image: step.Id,
          created: new Date(step.Created * 1000).toISOString(),
          createdBy: step.CreatedBy,
          size: step.Size,
          comment: step.Comment,
        })),
      columns: columnsOf(truncationOf(invocation.io, options)),
      whole: !options.trunc,
    })
  },
})
