import type { Power } from '../../drivers/driver.ts'
import { UserError } from '../../errors.ts'
import { type Machine, type ReadyMachine, requireHost } from '../../machine/machine.ts'
import { engineLogCommand } from '../../machine/host-command.ts'
import { run } from '../../transport/run.ts'
import type { Transport } from '../../transport/transport.ts'
import { waitForSsh } from '../create/wait-for-ssh.ts'
import type { Context, Stores } from '../context.ts'
import type { Progress } from '../../os/progress.ts'
import { findAddress } from '../connect/find-address.ts'
import { probeHost } from '../adopt/probe-host.ts'
import { ignored } from '../../os/trace.ts'
import { poll } from '../../os/retry.ts'

/** How long a host may take from power-on until its engine answers, in milliseconds. */
const bootTime = 10 * 60_000

/** The pause between checks of a booting host, in milliseconds. */
const pauseMs = 500

/** The power operations: start, stop, restart and so on. */
export type PowerVerb = keyof Power

/** Callbacks of power operations. */
interface PowerCalls {
  readonly progress: Progress
  readonly signal: AbortSignal
}

/**
 * Switches a machine as {@link switchPower} does, and records the wanted state in its entry. Plans then keep a stopped
 * machine stopped.
 */
export async function switchAndRecordPower(
  context: Context,
  machine: Machine,
  verb: PowerVerb,
  calls: PowerCalls,
): Promise<ReadyMachine> {
  requireHost(machine)
  await powerOf(context, machine, verb)
  await recordWantedPower(context, machine, { isOff: verb === 'stop' || verb === 'kill' })
  return switchPower(context, machine, verb, calls)
}

/** Whether a machine has a host, and its driver can switch it on and off. */
export async function canSwitch(context: Context, { driver, host }: Machine): Promise<boolean> {
  if (host === undefined) return false
  const loaded = await context
    .loadDriver(driver)
    .catch(ignored('driver', `load the ${driver} driver`))
  return loaded?.power !== undefined
}

async function powerOf(context: Context, machine: Machine, verb: PowerVerb): Promise<Power> {
  const { power } = await context.loadDriver(machine.driver)
  if (power !== undefined) return power
  throw new UserError('unsupported', `the ${machine.driver} driver cannot ${verb} hosts`, {
    machine: machine.name,
    hint:
      verb === 'start'
        ? "start the host manually or in its provider's console"
        : `to log in and ${verb} the host: fleet ssh ${machine.name}`,
  })
}

/**
 * Switches a machine on or off, and updates its address, which may have changed. After `start` and `restart`, waits
 * until the machine is ready. Throws kind `unsupported` when the driver cannot switch its hosts on and off.
 */
export async function switchPower(
  context: Context,
  machine: Machine,
  verb: PowerVerb,
  calls: PowerCalls,
): Promise<ReadyMachine> {
  const host = requireHost(machine)
  const power = await powerOf(context, machine, verb)
  const before = verb === 'restart' ? await readBoot(context, machine) : undefined
  await power[verb](host, calls)
  const { machine: found } = await findAddress(context, { ...machine, host }, calls)
  if (verb === 'start' || verb === 'restart') {
    await awaitBoot(context.with({ signal: calls.signal }), found, calls.progress, before)
  }
  return found
}

/**
 * Prints an ID of the current boot: the kernel's boot_id (random(4)) and, for containers, the start time of the first
 * process.
 */
const bootScript = 'cat /proc/sys/kernel/random/boot_id; cut -d" " -f22 /proc/1/stat'

async function bootOf(transport: Transport, signal: AbortSignal): Promise<string> {
  return (await run(transport, ['sh', '-c', bootScript], { signal })).stdout
}

/** The boot ID of a host; undefined if it cannot be reached. */
const readBoot = (context: Context, machine: Machine): Promise<string | undefined> =>
  context
    .connect(machine)
    .then((transport) => bootOf(transport, context.signal))
    .catch(ignored('driver', "get the machine's boot ID"))

/**
 * Waits until a host has booted and accepts logins, and until its engine answers if it had one. `before` is the ID of
 * the previous boot, which is needed because a restarting host still answers for a while.
 */
async function awaitBoot(
  context: Context,
  machine: ReadyMachine,
  progress: Progress,
  before: string | undefined,
): Promise<void> {
  const deadline = performance.now() + bootTime
  await poll(() => hasBooted(context, machine, progress, { before, deadline }), {
    signal: context.signal,
    pauseMs,
    withinMs: bootTime,
    otherwise: () => {
      throw notReady(machine)
    },
  })
}

/** Resolves to `true` if a host has booted, else to undefined. */
async function hasBooted(
  context: Context,
  machine: ReadyMachine,
  progress: Progress,
  { before, deadline }: { readonly before: string | undefined; readonly deadline: number },
): Promise<true | undefined> {
  const { name, host, engine } = machine
  const { signal } = context
  try {
    await using transport = await waitForSsh(context, machine, progress)
    if (before !== undefined && (await bootOf(transport, signal)) === before) return undefined
    if (engine === 'none' || host.engine === undefined) return true
    progress('wait for the engine')
    const target = { machine: name, transport, socket: host.socket, signal }
    // Use the same connection: on a host that boots slowly, a login is more expensive than the probe.
    const check = async (): Promise<true | undefined> =>
      (await probeHost(target)).engine?.version === undefined ? undefined : true
    const withinMs = deadline - performance.now()
    return await poll<true | undefined>(check, {
      ...{ signal, pauseMs, withinMs },
      otherwise: () => undefined,
    })
  } catch (error) {
    if (error instanceof UserError && error.kind === 'unreachable') return undefined
    throw error
  }
}

const notReady = (machine: ReadyMachine): UserError =>
  new UserError(
    'failed',
    `${machine.name} or its engine was not ready within ${bootTime / 60_000} minutes`,
    {
      machine: machine.name,
      hint: `to repair the engine: fleet provision ${machine.name}; to see the engine log: ${engineLogCommand(machine)}`,
    },
  )

/** Records in the entry of a machine whether it should be stopped. Plans compare this with the state of the host. */
export async function recordWantedPower(
  context: Pick<Stores, 'inventory'>,
  { name }: Pick<Machine, 'name'>,
  { isOff }: { readonly isOff: boolean },
): Promise<void> {
  const store = await context.inventory()
  await store.update(name, (entry) => {
    if (entry === undefined) return entry
    const { stopped: _before, ...others } = entry
    return { ...others, ...(isOff && { stopped: true as const }) }
  })
}
