import { exitCodes } from '../../errors.ts'
import type { SyncedContext } from '../../operations/docker/sync-contexts.ts'
import { type Column, writeRows } from '../../ui/table.ts'
import { defineCommand, flag } from '../command.ts'

const words: Readonly<Record<SyncedContext['state'], string>> = {
  written: 'written',
  removed: 'removed',
  taken: 'skipped: the existing context was not created for this inventory',
  impossible: 'skipped: not a valid Docker context name',
}

const columns: readonly Column<SyncedContext>[] = [
  { title: 'CONTEXT', text: ({ name }) => name, keep: true },
  { title: 'STATE', text: ({ state }) => words[state] },
  { title: 'HOST', text: ({ host = '' }) => host, drop: 1 },
]

export const contextSync = defineCommand({
  name: 'sync',
  summary: 'Create a Docker context for every machine',
  description:
    "Create a Docker context for each machine, named after the machine, and remove contexts for machines that no longer exist. The contexts connect through sockets opened by fleet's background process (the broker). After this computer restarts, run any fleet command that needs a machine, such as fleet ps, to start the broker.",
  options: {
    remove: flag('--remove', 'remove all contexts that fleet created for this inventory'),
  },
  answers: 'names',
  examples: ['fleet context sync && docker --context web-1 ps', 'fleet context sync --remove'],
  async run({ fleet, io, options, format }) {
    const { removeContexts, syncContexts } =
      await import('../../operations/docker/sync-contexts.ts')
    const rows = await (options.remove ? removeContexts : syncContexts)(fleet)
    await writeRows(io, format, { rows, columns, name: ({ name }) => name })
    const isWhole = rows.every(({ state }) => state === 'written' || state === 'removed')
    return isWhole ? exitCodes.ok : exitCodes.failed
  },
})
