import { humanAge, humanSize } from '../../ui/human.ts'
import type { Column } from '../../ui/table.ts'
import { defineCommand, flag, required } from '../definition.ts'
import { listFromEngines } from './across.ts'

/** A step of how an image was made, as `fleet history` shows it; size in bytes. */
interface Row {
  readonly image: string
  readonly created: string
  readonly createdBy: string
  readonly size: number
  readonly comment: string
}

const columnsOf = (whole: boolean): Column<Row>[] => [
  {
    title: 'IMAGE',
    text: (row) => (whole ? row.image : row.image.replace(/^sha256:(.{12}).*/, '$1')),
  },
  { title: 'CREATED', text: (row) => humanAge(Date.parse(row.created) / 1000) },
  {
    title: 'CREATED BY',
    text: ({ createdBy }) =>
      whole || createdBy.length <= 45 ? createdBy : `${createdBy.slice(0, 44)}…`,
  },
  { title: 'SIZE', text: (row) => humanSize(row.size) },
  { title: 'COMMENT', text: (row) => row.comment },
]

export const history = defineCommand({
  name: 'history',
  summary: 'Show how an image was made, step by step',
  arguments: { image: required('image', 'name or id of the image') },
  options: { trunc: flag('--no-trunc', 'whole ids and steps') },
  targets: 'many',
  answers: 'json',
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
      columns: columnsOf(options.trunc === false),
    })
  },
})
