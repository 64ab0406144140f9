import { humanSize, shorten } from '../../ui/human-units.ts'
import type { Column } from '../../ui/table.ts'
import { any, defineCommand } from '../command.ts'
import { listFromEngines } from '../multi/query-engines.ts'
import { type Truncation, noTruncOption, truncationOf } from '../options/truncation.ts'

/** A layer of an image, as `fleet image layers` shows it. The size is in bytes. */
interface Row {
  readonly image: string
  readonly layer: string
  readonly size?: number
  readonly sharedWith: readonly string[]
  readonly createdBy?: string
}

const columnsOf = ({ fullIds, fullCommands }: Truncation): Column<Row>[] => [
  { title: 'IMAGE', text: (row) => row.image, width: 24 },
  {
    title: 'LAYER',
    text: (row) => (fullIds ? row.layer : row.layer.slice('sha256:'.length, 19)),
    width: 12,
    keep: true,
    drop: 1,
  },
  {
    title: 'SIZE',
    text: ({ size }) => (size === undefined ? '?' : humanSize(size)),
    width: 7,
    keep: true,
  },
  { title: 'SHARED WITH', text: (row) => row.sharedWith.join(', ') || '-', width: 24, drop: 2 },
  {
    title: 'CREATED BY',
    text: ({ createdBy = '' }) => (fullCommands ? createdBy : shorten(createdBy, 45)),
    drop: 3,
  },
]

export const layers = defineCommand({
  name: 'layers',
  summary: 'List image layers',
  description: 'List image layers, their sizes, and the other images that share them.',
  arguments: { images: any('images', 'image names or IDs (default: all images)', 'image') },
  options: { trunc: noTruncOption },
  targets: 'many',
  gathers: true,
  answers: 'json',
  async run({ args, options, ...invocation }) {
    const { imageLayers } = await import('../../engine/image-layers.ts')
    const query = args.images.length === 0 ? {} : { images: args.images }
    return listFromEngines<Row>(invocation, {
      async list(engine, signal) {
        const layered = await imageLayers(engine, { ...query, signal })
        return layered.flatMap(({ id, names, layers }) =>
          layers.map(({ digest, ...layer }) => ({
            image: names[0] ?? id.slice('sha256:'.length, 19),
            layer: digest,
            ...layer,
          })),
        )
      },
      columns: columnsOf(truncationOf(invocation.io, options)),
      whole: !options.trunc,
      timeMs: 120_000, // each image requires two requests to the engine
    })
  },
})
