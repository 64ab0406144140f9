import { type Column, writeRows } from '../../ui/table.ts'
import { defineCommand } from '../command.ts'

interface Row {
  readonly inventory: string
  /** Absent if the row is about another user's inventory. */
  readonly driver?: string
  /** A path on this computer that machines in the inventory may use. */
  readonly path?: string
  /** A host in the user's SSH configuration that may be used as the address of machines. */
  readonly alias?: string
  /** A shell variable that machines may receive with a stack. */
  readonly variable?: string
  readonly stack?: string
  readonly version?: string | undefined
  readonly digest?: string
}

const columns: readonly Column<Row>[] = [
  {
    title: 'TRUSTED',
    text: ({ driver, path, alias, variable, stack = '' }) =>
      driver ??
      path ??
      alias ??
      (variable === undefined ? '(inventory)' : `${variable} for stack ${stack}`),
  },
  { title: 'VERSION', text: ({ version = '' }) => version, drop: 1 },
  { title: 'DIGEST', text: ({ digest = '' }) => digest.slice(0, 'sha256:'.length + 12), drop: 2 },
  { title: 'INVENTORY', text: ({ inventory }) => inventory },
]

export const trustLs = defineCommand({
  name: 'ls',
  summary: 'List trusted drivers, paths, aliases and variables',
  answers: 'names',
  async run({ fleet, io, format }) {
    const { drivers, inventories, paths, aliases, variables } = await (await fleet.trust()).read()
    const rows: readonly Row[] = [
      ...inventories.map(({ inventory }) => ({ inventory })),
      ...drivers.map(({ inventory, package: name, version, digest }) => ({
        ...{ inventory, driver: name.replace(/^fleet-driver-/, '') },
        ...{ version, digest },
      })),
      ...paths,
      ...aliases,
      ...variables,
    ]
    const name = ({ driver, path, alias, variable, inventory }: Row) =>
      driver ?? path ?? alias ?? variable ?? inventory
    await writeRows(io, format, { rows, columns, name })
  },
})
