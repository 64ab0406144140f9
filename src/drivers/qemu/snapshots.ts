import { UserError } from '../../errors.ts'
import type { Call, Snapshot, Snapshots } from '../driver.ts'
import type { HostFile, Paths } from './host-file.ts'
import { isRunning, killMachine, startMachine } from './power.ts'
import { runProgram } from './programs.ts'
import { execute } from './qmp.ts'

/** A snapshot as `qemu-img info` and QMP report it. */
interface SnapshotInfo {
  readonly name: string
  readonly 'date-sec': number
  readonly 'vm-state-size': number
}

interface Block {
  readonly inserted?: { readonly image?: { readonly snapshots?: readonly SnapshotInfo[] } }
}

async function readSnapshots(host: HostFile, paths: Paths, call: Call): Promise<Snapshot[]> {
  const disk = paths.of(host.id, 'disk.qcow2')
  const output = (await isRunning(host, paths))
    ? ((await execute(paths.socketOf(host.id), 'query-block', call.signal)) as Block[]).flatMap(
        ({ inserted }) => inserted?.image?.snapshots ?? [],
      )
    : ((
        JSON.parse(
          await runProgram('qemu-img', ['info', '-f', 'qcow2', '--output=json', disk], {
            env: paths.env,
            signal: call.signal,
          }),
        ) as {
          snapshots?: SnapshotInfo[]
        }
      ).snapshots ?? [])
  return output
    .map((one) => ({
      name: one.name,
      created: new Date(one['date-sec'] * 1000).toISOString(),
      isRunning: one['vm-state-size'] > 0,
    }))
    .sort((a, b) => a.created.localeCompare(b.created))
}

/** Runs a command in QEMU's human monitor, which prints only errors. */
async function runMonitorCommand(
  host: HostFile,
  paths: Paths,
  line: string,
  call: Call,
): Promise<void> {
  const args = { 'command-line': line }
  const path = paths.socketOf(host.id)
  const output = await execute(path, 'human-monitor-command', call.signal, args)
  if (typeof output === 'string' && output.trim() !== '') {
    throw new UserError(
      'failed',
      `QEMU cannot execute ${line}: ${output.trim().replace(/^Error: /, '')}`,
    )
  }
}

async function find(host: HostFile, paths: Paths, name: string, call: Call): Promise<Snapshot> {
  const all = await readSnapshots(host, paths, call)
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
 * Saves a snapshot of a running host. Its memory can be saved only while no shared directory is mounted (QEMU's
 * hw/9pfs/9p.c).
 */
async function saveRunning(host: HostFile, paths: Paths, name: string, call: Call): Promise<void> {
  try {
    await runMonitorCommand(host, paths, `savevm ${name}`, call)
  } catch (error) {
    if (!(error instanceof UserError && error.message.includes('VirtFS'))) throw error
    throw new UserError(
      'unsupported',
      'cannot save a snapshot of a running machine while shared directories are mounted',
      {
        hint: 'stop the machine first, or log in to it and unmount the directories',
        cause: error,
      },
    )
  }
}

/** Returns the driver's snapshot methods. Snapshots are stored in the hosts' disks. */
export const snapshotsOf = (
  paths: Paths,
  requireHost: (record: Parameters<Snapshots['list']>[0]) => Promise<HostFile>,
): Snapshots => {
  const image = (host: HostFile, word: string, name: string, { signal }: Call) =>
    runProgram('qemu-img', ['snapshot', word, name, paths.of(host.id, 'disk.qcow2')], {
      env: paths.env,
      signal,
    })
  return {
    list: async (record, call) => readSnapshots(await requireHost(record), paths, call),
    async save(record, name, call) {
      const host = await requireHost(record)
      const all = await readSnapshots(host, paths, call)
      if (all.some((one) => one.name === name)) {
        throw new UserError('usage', `snapshot ${name} already exists`, {
          hint: 'use another name, or remove the snapshot first',
        })
      }
      call.progress('save the snapshot')
      if (await isRunning(host, paths)) await saveRunning(host, paths, name, call)
      else await image(host, '-c', name, call)
    },
    async restore(record, name, call) {
      const host = await requireHost(record)
      const found = await find(host, paths, name, call)
      call.progress('restore the snapshot')
      const runs = await isRunning(host, paths)
      if (runs && found.isRunning) return runMonitorCommand(host, paths, `loadvm ${name}`, call)
      if (runs) await killMachine(host, paths, call)
      if (found.isRunning) return startMachine(host, paths, call, name)
      await image(host, '-a', name, call)
    },
    async remove(record, name, call) {
      const host = await requireHost(record)
      await find(host, paths, name, call)
      if (await isRunning(host, paths)) await runMonitorCommand(host, paths, `delvm ${name}`, call)
      else await image(host, '-d', name, call)
    },
  }
}
