import type { ImageSummary } from '../../engine/images.ts'
import { humanAge, humanSize } from '../../ui/human-units.ts'
import type { Column } from '../../ui/table.ts'
import { defineCommand, flag } from '../command.ts'
import { listFromEngines } from '../multi/query-engines.ts'
import { filterOption, parseFilters } from '../options/filters.ts'
import { type Truncation, noTruncOption, truncationOf } from '../options/truncation.ts'

/** A name of an image, as `fleet images` shows it. The size is in bytes. */
interface Row {
  readonly repository: string
  readonly tag: string
  readonly digest?: string
  readonly id: string
  readonly created: string
  readonly size: number
}

const none = '<none>'

/**
 * Splits an image reference at the last colon after the last slash, because an earlier colon can belong to a registry's
 * port.
 */
function splitReference(reference: string): { repository: string; tag: string } {
  const [, repository = reference, tag = none] = /^(.*):([^/]*)$/.exec(reference) ?? []
  return { repository, tag }
}

/** Returns a row for each name of an image, or a single row if it has no name. */
function rowsOf(image: ImageSummary): Row[] {
  const digests = image.RepoDigests ?? []
  const names = image.RepoTags?.length ? image.RepoTags : [`${repositoryOf(digests[0])}:${none}`]
  return names.map((name) => {
    const { repository, tag } = splitReference(name)
    const digest = digests.find((text) => text.startsWith(`${repository}@`))?.split('@')[1]
    return {
      repository,
      tag,
      ...(digest === undefined ? {} : { digest }),
      id: image.Id,
      created: new Date(image.Created * 1000).toISOString(),
      size: image.Size,
    }
  })
}

const repositoryOf = (digest: string | undefined): string => digest?.split('@')[0] ?? none

const digestColumn: Column<Row> = {
  title: 'DIGEST',
  text: (row) => row.digest ?? none,
  width: 'sha256:'.length + 64,
}

const columnsOf = ({ fullIds }: Truncation, withDigests: boolean): Column<Row>[] => [
  { title: 'REPOSITORY', text: (row) => row.repository, width: 24 },
  { title: 'TAG', text: (row) => row.tag, width: 12 },
  ...(withDigests ? [digestColumn] : []),
  {
    title: 'IMAGE ID',
    text: (row) => (fullIds ? row.id : row.id.slice('sha256:'.length, 19)),
    width: 12,
    keep: true,
    drop: 1,
  },
  {
    title: 'CREATED',
    text: (row) => humanAge(Date.parse(row.created) / 1000),
    width: 13,
    drop: 2,
  },
  { title: 'SIZE', text: (row) => humanSize(row.size) },
]

export const images = defineCommand({
  name: 'images',
  summary: 'List images',
  options: {
    all: flag('-a, --all-images', 'include intermediate images'),
    digests: flag('--digests', 'show registry digests'),
    filter: filterOption,
    trunc: noTruncOption,
  },
  targets: 'many',
  gathers: true,
  answers: 'names',
  runsInBroker: () => true,
  examples: ['fleet images --on role=web', 'fleet images -f dangling=true'],
  async run({ options, ...invocation }) {
    const { listImages } = await import('../../engine/images.ts')
    const query = {
      all: options.all,
      digests: options.digests,
      filters: parseFilters(options.filter),
    }
    return listFromEngines(invocation, {
      async list(engine, signal, machine) {
        const listed = await listImages(engine, { ...query, signal })
        if (invocation.fleet.hosted && options.filter.length === 0) {
          const { rememberImages } = await import('../completion/container-and-image-names.ts')
          const names = listed.flatMap(({ RepoTags }) => RepoTags ?? [])
          await rememberImages(invocation.fleet, machine, names)
        }
        return listed.flatMap(rowsOf)
      },
      columns: columnsOf(truncationOf(invocation.io, options), options.digests),
      whole: !options.trunc,
      name: (row) => (row.tag === none ? row.id : `${row.repository}:${row.tag}`),
    })
  },
})
