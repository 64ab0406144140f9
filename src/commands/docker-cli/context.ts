import { exitCodes } from '../../errors.ts'
import type { SyncedContext } from '../../operations/docker/sync-contexts.ts'
import { type Column, writeRows } from '../../ui/table.ts'
import { defineCommand, flag } from '../command.ts'

const words: Readonly<Record<SyncedContext['state'], string>> = {
  written: 'written',
  removed: 'removed',
  taken: 'left alone: not made for this inventory',
  impossible: 'left out: docker takes no such name',
}

const columns: readonly Column<SyncedContext>[] = [
  { title: 'CONTEXT', text: ({ name }) => name },
  { title: 'STATE', text: ({ state }) => words[state] },
  { title: 'HOST', text: ({ host }) => host },
]

export const contextSync = defineCommand({
  name: 'sync',
  summary: 'Make a docker context of every machine',
  description:
    'Make a docker context of every machine, of the same name, and remove those of machines that are no more. They lead through sockets that the broker serves: after a restart of this computer, any fleet command that needs a machine starts it.',
  options: { remove: flag('--remove', 'remove all that fleet made for this inventory') },
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
