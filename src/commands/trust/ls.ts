import { type Column, writeRows } from '../../ui/table.ts'
import { defineCommand } from '../command.ts'

interface Row {
  readonly inventory: string
  /** Absent if the row is about an inventory of another user. */
  readonly driver?: string
  /** A path on this computer that machines of the inventory may use. */
  readonly path?: string
  /** A host of the user's SSH configuration that machines may be reached as. */
  readonly alias?: string
  readonly version?: string | undefined
  readonly digest?: string
}

const columns: readonly Column<Row>[] = [
  {
    title: 'TRUSTED',
    text: ({ driver, path, alias }) => driver ?? path ?? alias ?? '(inventory)',
  },
  { title: 'VERSION', text: ({ version = '' }) => version, drop: 1 },
  { title: 'DIGEST', text: ({ digest = '' }) => digest.slice(0, 'sha256:'.length + 12), drop: 2 },
  { title: 'INVENTORY', text: ({ inventory }) => inventory },
]

export const trustLs = defineCommand({
  name: 'ls',
  summary: 'List what you have trusted',
  answers: 'names',
  async run({ fleet, io, format }) {
    const { drivers, inventories, paths, aliases } = await (await fleet.trust()).read()
    const rows: readonly Row[] = [
      ...inventories.map(({ inventory }) => ({ inventory })),
      ...drivers.map(({ inventory, package: name, version, digest }) => ({
        ...{ inventory, driver: name.replace(/^fleet-driver-/, '') },
        ...{ version, digest },
      })),
      ...paths,
      ...aliases,
    ]
    const name = ({ driver, path, alias, inventory }: Row) => driver ?? path ?? alias ?? inventory
    await writeRows(io, format, { rows, columns, name })
  },
})
