import { type Column, writeRows } from '../../ui/table.ts'
import { defineCommand } from '../definition.ts'

interface Row {
  readonly inventory: string
  /** Absent: the inventory itself, which is another user's. */
  readonly driver?: string
  readonly version?: string | undefined
  readonly digest?: string
}

const columns: readonly Column<Row>[] = [
  { title: 'TRUSTED', text: ({ driver }) => driver ?? '(inventory)' },
  { title: 'VERSION', text: ({ version = '' }) => version },
  { title: 'DIGEST', text: ({ digest = '' }) => digest.slice(0, 'sha256:'.length + 12) },
  { title: 'INVENTORY', text: ({ inventory }) => inventory },
]

export const trustLs = defineCommand({
  name: 'ls',
  summary: 'List the drivers and inventories that you trust',
  answers: 'names',
  async run({ fleet, io, format }) {
    const { drivers, inventories } = await (await fleet.trust()).read()
    const rows: readonly Row[] = [
      ...inventories.map(({ inventory }) => ({ inventory })),
      ...drivers.map(({ inventory, package: name, version, digest }) => ({
        ...{ inventory, driver: name.replace(/^fleet-driver-/, '') },
        ...{ version, digest },
      })),
    ]
    const name = ({ driver, inventory }: Row) => driver ?? inventory
    await writeRows(io, format, { rows, columns, name })
  },
})
