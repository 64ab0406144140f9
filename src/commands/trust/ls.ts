import { type Column, writeRows } from '../../ui/table.ts'
import { defineCommand } from '../command.ts'

interface Row {
  readonly inventory: string
  /** Absent: the inventory itself, which is another user's. */
  readonly driver?: string
  /** A file or folder of this computer that its machines may have. */
  readonly path?: string
  readonly version?: string | undefined
  readonly digest?: string
}

const columns: readonly Column<Row>[] = [
  { title: 'TRUSTED', text: ({ driver, path }) => driver ?? path ?? '(inventory)' },
  { title: 'VERSION', text: ({ version = '' }) => version },
  { title: 'DIGEST', text: ({ digest = '' }) => digest.slice(0, 'sha256:'.length + 12) },
  { title: 'INVENTORY', text: ({ inventory }) => inventory },
]

export const trustLs = defineCommand({
  name: 'ls',
  summary: 'List the drivers, inventories and paths that you trust',
  answers: 'names',
  async run({ fleet, io, format }) {
    const { drivers, inventories, paths } = await (await fleet.trust()).read()
    const rows: readonly Row[] = [
      ...inventories.map(({ inventory }) => ({ inventory })),
      ...drivers.map(({ inventory, package: name, version, digest }) => ({
        ...{ inventory, driver: name.replace(/^fleet-driver-/, '') },
        ...{ version, digest },
      })),
      ...paths,
    ]
    const name = ({ driver, path, inventory }: Row) => driver ?? path ?? inventory
    await writeRows(io, format, { rows, columns, name })
  },
})
