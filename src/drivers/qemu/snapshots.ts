import { UserError } from '../../errors.ts'
import type { Call, Snapshot, Snapshots } from '../driver.ts'
import type { HostFile, Places } from './host-file.ts'
import { isRunning, killMachine, startMachine } from './machine.ts'
import { runProgram } from './programs.ts'
import { execute } from './qmp.ts'

/** A snapshot as `qemu-img info` and QMP report it. */
interface Told {
  readonly name: string
  readonly 'date-sec': number
  readonly 'vm-state-size': number
}

interface Block {
  readonly inserted?: { readonly image?: { readonly snapshots?: readonly Told[] } }
}

async function readSnapshots(host: HostFile, places: Places, call: Call): Promise<Snapshot[]> {
  const disk = places.of(host.id, 'disk.qcow2')
  const told = (await isRunning(host, places))
    ? ((await execute(places.socketOf(host.id), 'query-block', call.signal)) as Block[]).flatMap(
        ({ inserted }) => inserted?.image?.snapshots ?? [],
      )
    : ((
        JSON.parse(
          await runProgram('qemu-img', ['info', '-f', 'qcow2', '--output=json', disk], call.signal),
        ) as {
          snapshots?: Told[]
        }
      ).snapshots ?? [])
  return told
    .map((one) => ({
      name: one.name,
      created: new Date(one['date-sec'] * 1000).toISOString(),
      isRunning: one['vm-state-size'] > 0,
    }))
    .sort((a, b) => a.created.localeCompare(b.created))
}

/** Runs a command of QEMU's human monitor, which only prints errors. */
async function say(host: HostFile, places: Places, line: string, call: Call): Promise<void> {
  const args = { 'command-line': line }
  const path = places.socketOf(host.id)
  const told = await execute(path, 'human-monitor-command', call.signal, args)
  if (typeof told === 'string' && told.trim() !== '') {
    throw new UserError('failed', `QEMU: ${told.trim().replace(/^Error: /, '')}`)
  }
}

async function find(host: HostFile, places: Places, name: string, call: Call): Promise<Snapshot> {
  const all = await readSnapshots(host, places, call)
  const found = all.find((one) => one.name === name)
  if (found !== undefined) return found
  throw new UserError('usage', `there is no snapshot ${name}`, {
    hint:
      all.length === 0
        ? 'the machine has no snapshots'
        : `snapshots: ${all.map((one) => one.name).join(', ')}`,
  })
}

/**
 * Saves a snapshot of a running host. Its memory can only be saved while no shared folder is
 * mounted (QEMU's hw/9pfs/9p.c).
 */
async function saveRunning(
  host: HostFile,
  places: Places,
  name: string,
  call: Call,
): Promise<void> {
  try {
    await say(host, places, `savevm ${name}`, call)
  } catch (error) {
    if (!(error instanceof UserError && error.message.includes('VirtFS'))) throw error
    throw new UserError(
      'unsupported',
      'cannot save the memory of a machine with mounted shared folders',
      {
        hint: 'stop the machine first, or unmount the folders in it',
        cause: error,
      },
    )
  }
}

/** Snapshots of hosts, stored in their disks. */
export const snapshotsOf = (
  places: Places,
  hostOf: (record: Parameters<Snapshots['list']>[0]) => Promise<HostFile>,
): Snapshots => {
  const image = (host: HostFile, word: string, name: string, { signal }: Call) =>
    runProgram('qemu-img', ['snapshot', word, name, places.of(host.id, 'disk.qcow2')], signal)
  return {
    list: async (record, call) => readSnapshots(await hostOf(record), places, call),
    async save(record, name, call) {
      const host = await hostOf(record)
      const all = await readSnapshots(host, places, call)
      if (all.some((one) => one.name === name)) {
        throw new UserError('usage', `snapshot ${name} already exists`, {
          hint: 'use another name, or remove the snapshot first',
        })
      }
      call.progress('save snapshot')
      if (await isRunning(host, places)) await saveRunning(host, places, name, call)
      else await image(host, '-c', name, call)
    },
    async restore(record, name, call) {
      const host = await hostOf(record)
      const found = await find(host, places, name, call)
      call.progress('restore snapshot')
      const runs = await isRunning(host, places)
      if (runs && found.isRunning) return say(host, places, `loadvm ${name}`, call)
      if (runs) await killMachine(host, places, call)
      if (found.isRunning) return startMachine(host, places, call, name)
      await image(host, '-a', name, call)
    },
    async remove(record, name, call) {
      const host = await hostOf(record)
      await find(host, places, name, call)
      if (await isRunning(host, places)) await say(host, places, `delvm ${name}`, call)
      else await image(host, '-d', name, call)
    },
  }
}
