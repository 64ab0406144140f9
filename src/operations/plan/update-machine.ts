import { UserError, messageOf } from '../../errors.ts'
import {
  type Machine,
  type ReadyMachine,
  requireHost,
  mergeResources,
} from '../../machine/machine.ts'
import { compareOptions } from './compare-options.ts'
import { type Context, rollbackProgress } from '../context.ts'
import type { Progress } from '../../os/progress.ts'
import { checkGrants } from '../inventory/grants.ts'
import { growDisk } from '../machine/grow-disk.ts'
import { switchPower } from '../machine/switch-power.ts'

/** Callbacks of {@link updateMachine}. */
interface UpdateCalls {
  readonly progress: Progress
  readonly signal: AbortSignal
}

/**
 * Applies the options of a machine to its existing host, except those that require a new host. Stops the host if an
 * option requires it, and starts it again unless it should stay stopped. The driver's state is recorded last, so that
 * an interrupted run can be repeated. Throws kind `unsupported` when the driver cannot change its hosts.
 */
export async function updateMachine(
  context: Context,
  machine: Machine,
  calls: UpdateCalls,
): Promise<void> {
  const { name, driver: driverName, stopped = false } = machine
  const host = requireHost(machine)
  const driver = await context.loadDriver(driverName)
  const { update } = driver
  if (update === undefined) {
    throw new UserError('unsupported', `the ${driverName} driver cannot change hosts in place`, {
      machine: name,
    })
  }
  const inventory = await (await context.inventory()).read()
  const statuses = await driver.observe(new Map([[name, host]]), calls)
  const status = statuses.get(name) ?? { state: 'unknown' }
  const ready = { ...machine, host }
  const { options, differences } = await compareOptions(context, inventory, ready, status)
  const wanted = differences.filter(({ how }) => how !== 'replace')
  if (wanted.length === 0) return
  const only = new Set(wanted.map(({ option }) => option))
  const changed = Object.fromEntries(Object.entries(options).filter(([key]) => only.has(key)))
  await checkGrants(context, { name, driver: driverName }, changed, 'fleet apply')
  const stops = wanted.some(({ how }) => how === 'stop')
  let current = 'change the host'
  const progress: Progress = (step, detail) => {
    current = step
    calls.progress(step, detail)
  }
  if (stops) await switchPower(context, machine, 'stop', calls)
  const expected = await update
    .change(host, { options, only }, { ...calls, progress })
    .catch(async (error: unknown) => {
      const wasStopped = stops && status.state === 'running'
      if (!wasStopped) throw error
      const undoing = { ...calls, progress: rollbackProgress(current, calls.progress) }
      throw await startAgain(context, ready, error, undoing)
    })
  const now: ReadyMachine =
    stops && !stopped ? await switchPower(context, ready, 'start', calls) : ready
  const runs = stops ? !stopped : status.state === 'running'
  if (runs && update.disks.some((option) => only.has(option))) {
    await growDisk(context, now, calls.progress)
  }
  await recordResources(context, ready, expected)
}

/**
 * After a change has failed, starts the host that was stopped for it. Returns the error, extended with the state of the
 * host.
 */
async function startAgain(
  context: Context,
  machine: ReadyMachine,
  failure: unknown,
  calls: UpdateCalls,
): Promise<unknown> {
  const { name } = machine
  if (failure instanceof UserError || calls.signal.aborted) {
    const kind = failure instanceof UserError ? failure.kind : 'cancelled'
    const message = calls.signal.aborted ? 'the change was interrupted' : messageOf(failure)
    const fail = (state: string, hint: string | undefined): UserError =>
      new UserError(kind, `${name} was not changed: ${message}; ${state}`, {
        ...{ machine: name, hint, cause: failure },
      })
    const stopped = 'the host was stopped for the change and is still stopped'
    if (calls.signal.aborted) return fail(stopped, `to start the host: fleet start ${name}`)
    try {
      calls.progress('start the host again')
      await switchPower(context, machine, 'start', calls)
      return fail(
        'the host was stopped for the change and is running again',
        failure instanceof UserError ? failure.hint : undefined,
      )
    } catch (error) {
      const why = messageOf(error)
      return fail(`${stopped}, because it did not start: ${why}`, `try again: fleet start ${name}`)
    }
  }
  return failure
}

/** Merges the driver's state into the recorded resources of a host. */
export async function recordResources(
  context: Context,
  { name, host: { token, id } }: ReadyMachine,
  expected: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  const store = await context.inventory()
  await store.update(name, (entry) => {
    if (entry?.host === undefined || entry.host.token !== token || entry.host.id !== id)
      return entry
    const resources = mergeResources(entry.host.resources, expected)
    return { ...entry, host: { ...entry.host, resources } }
  })
}
