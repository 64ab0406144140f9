import { UserError } from '../../errors.ts'
import { counted } from '../../ui/human-units.ts'
import { writeRows } from '../../ui/table.ts'
import { type CommandGroup, any, defineCommand, flag } from '../command.ts'

const inMegabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`

const list = defineCommand({
  name: 'ls',
  summary: 'List downloaded disk images',
  answers: 'names',
  examples: ['fleet cache ls'],
  async run({ fleet, io, format }) {
    const images = await (await fleet.diskImages()).list()
    await writeRows(io, format, {
      rows: images,
      columns: [
        { title: 'KEY', text: ({ key }) => key, keep: true },
        { title: 'IMAGE', text: ({ label }) => label },
        { title: 'SIZE', text: ({ bytes }) => inMegabytes(bytes) },
        { title: 'SINCE', text: ({ since }) => since, drop: 1 },
      ],
      name: ({ key }) => key,
    })
  },
})

const remove = defineCommand({
  name: 'rm',
  summary: 'Remove downloaded disk images',
  description: 'Remove downloaded disk images from the cache. Existing machines are not affected.',
  arguments: { images: any('images', 'image keys or names, as listed by fleet cache ls') },
  options: { all: flag('-a, --all', 'remove all images') },
  examples: ['fleet cache rm --all', "fleet cache rm 'debian-13 amd64'"],
  async run({ fleet, io, args, options }) {
    const cache = await fleet.diskImages()
    const images = await cache.list()
    const wanted = options.all
      ? images
      : images.filter(({ key, label }) => args.images.includes(key) || args.images.includes(label))
    const unknown = args.images.find((word) =>
      images.every(({ key, label }) => key !== word && label !== word),
    )
    if (unknown !== undefined || (args.images.length === 0 && !options.all)) {
      throw new UserError(
        'usage',
        unknown === undefined ? 'no image specified' : `there is no image ${unknown} in the cache`,
        {
          hint: 'to list images: fleet cache ls; to remove all: fleet cache rm --all',
        },
      )
    }
    for (const { key } of wanted) await cache.remove(key)
    io.stderr.write(`removed ${counted(wanted.length, 'image')}\n`)
  },
})

/** The commands of `fleet cache`. */
export const cache: CommandGroup = {
  name: 'cache',
  summary: 'Manage downloaded disk images',
  commands: [list, remove],
}
