import type { HostRecord } from '../../machine/machine.ts'
import type { Snapshot, Snapshots } from '../../drivers/driver.ts'
import { UserError } from '../../errors.ts'
import { type Machine, requireHost } from '../../machine/machine.ts'
import { waitForSsh } from '../create/wait-for-ssh.ts'
import type { Context } from '../context.ts'
import type { Progress } from '../../os/progress.ts'
import { recordWantedPower } from './switch-power.ts'

/** Callbacks of operations on snapshots. */
interface SnapshotCalls {
  readonly progress: Progress
  readonly signal: AbortSignal
}

/** A pattern for snapshot names that all providers accept. */
const namePattern = /^[A-Za-z][\w.-]{0,62}$/

interface Keeping {
  readonly snapshots: Snapshots
  readonly host: HostRecord
}

async function open(context: Context, machine: Machine): Promise<Keeping> {
  const host = requireHost(machine)
  const { snapshots } = await context.loadDriver(machine.driver)
  if (snapshots !== undefined) return { snapshots, host }
  throw new UserError('unsupported', `the ${machine.driver} driver does not support snapshots`, {
    machine: machine.name,
    hint: 'to create a virtual machine that supports snapshots: fleet create --driver qemu',
  })
}

function checkName({ name }: Machine, snapshot: string): void {
  if (namePattern.test(snapshot)) return
  throw new UserError('usage', `${JSON.stringify(snapshot)} is not a valid snapshot name`, {
    machine: name,
    hint: 'use a letter, followed by up to 62 letters, digits, ".", "_" or "-"',
  })
}

/** Saves the disk of a machine, and its memory if it is running. Throws kind `usage` if the name is already taken. */
export async function saveSnapshot(
  context: Context,
  machine: Machine,
  snapshot: string,
  calls: SnapshotCalls,
): Promise<void> {
  checkName(machine, snapshot)
  const { snapshots, host } = await open(context, machine)
  await snapshots.save(host, snapshot, calls)
}

/** Restores a snapshot. If the machine was running when the snapshot was saved, waits until SSH is available again. */
export async function restoreSnapshot(
  context: Context,
  machine: Machine,
  snapshot: string,
  calls: SnapshotCalls,
): Promise<void> {
  const { snapshots, host } = await open(context, machine)
  await snapshots.restore(host, snapshot, calls)
  const all = await snapshots.list(host, calls)
  const runs = all.some(({ name, isRunning }) => name === snapshot && isRunning)
  await recordWantedPower(context, machine, { isOff: !runs })
  if (!runs) return
  const at = context.with({ signal: calls.signal })
  await using _ = await waitForSsh(at, { ...machine, host }, calls.progress)
}

/** The snapshots of a machine, oldest first. */
export async function listSnapshots(
  context: Context,
  machine: Machine,
  calls: SnapshotCalls,
): Promise<readonly Snapshot[]> {
  const { snapshots, host } = await open(context, machine)
  return snapshots.list(host, calls)
}

/** Removes a snapshot; the machine is not changed. */
export async function removeSnapshot(
  context: Context,
  machine: Machine,
  snapshot: string,
  calls: SnapshotCalls,
): Promise<void> {
  const { snapshots, host } = await open(context, machine)
  await snapshots.remove(host, snapshot, calls)
}
