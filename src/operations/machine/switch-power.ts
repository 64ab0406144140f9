import { setTimeout as sleep } from 'node:timers/promises'
import type { Power } from '../../drivers/driver.ts'
import { UserError } from '../../errors.ts'
import { type Machine, type ReadyMachine, hostOf } from '../../machine/machine.ts'
import { run } from '../../transport/run.ts'
import type { Transport } from '../../transport/transport.ts'
import { waitForSsh } from '../create/wait-for-ssh.ts'
import type { Context, Progress } from '../context.ts'
import { findAddress } from '../connect/find-address.ts'
import { probeHost } from '../adopt/probe-host.ts'
import { wantPower } from './want-power.ts'

/** How long a host that was switched on may take until its engine answers, in milliseconds. */
const bootTime = 10 * 60_000

/** Between looks at a host that boots, in milliseconds. */
const pause = 500

/** What can be done to a host's power. */
export type PowerVerb = keyof Power

/** What switching tells, and what stops it. */
interface PowerCalls {
  readonly progress: Progress
  readonly signal: AbortSignal
}

/**
 * Switches a machine as {@link switchPower} does, and has its entry say that this is wanted: from then on a plan leaves one alone that is
 * stopped, and switches it off again where it runs.
 */
export async function switchForGood(
  context: Context,
  machine: Machine,
  verb: PowerVerb,
  calls: PowerCalls,
): Promise<ReadyMachine> {
  hostOf(machine)
  await powerOf(context, machine, verb)
  await wantPower(context, machine, { isOff: verb === 'stop' || verb === 'kill' })
  return switchPower(context, machine, verb, calls)
}

async function powerOf(context: Context, machine: Machine, verb: PowerVerb): Promise<Power> {
  const { power } = await context.loadDriver(machine.driver)
  if (power !== undefined) return power
  throw new UserError('unsupported', `the driver ${machine.driver} cannot ${verb} hosts`, {
    machine: machine.name,
    hint:
      verb === 'start'
        ? 'start it at its provider, or by hand'
        : `do it on the host itself: fleet ssh ${machine.name}`,
  })
}

/**
 * Switches a machine, and looks its address up again, which may be another one then. One that is started or restarted lets
 * fleet in once this resolves. Throws kind `unsupported` where the driver cannot switch its hosts.
 */
export async function switchPower(
  context: Context,
  machine: Machine,
  verb: PowerVerb,
  calls: PowerCalls,
): Promise<ReadyMachine> {
  const host = hostOf(machine)
  const power = await powerOf(context, machine, verb)
  const before = verb === 'restart' ? await readBoot(context, machine) : undefined
  await power[verb](host, calls)
  const { machine: found } = await findAddress(context, { ...machine, host }, calls)
  if (verb === 'start' || verb === 'restart') {
    await awaitBoot({ ...context, signal: calls.signal }, found, calls.progress, before)
  }
  return found
}

/** What differs from boot to boot: the kernel's own mark (random(4)), and in a container when its first process began. */
const bootScript = 'cat /proc/sys/kernel/random/boot_id; cut -d" " -f22 /proc/1/stat'

async function bootOf(transport: Transport, signal: AbortSignal): Promise<string> {
  return (await run(transport, ['sh', '-c', bootScript], { signal })).stdout
}

/** Which boot a host is in, where it lets fleet in now. */
const readBoot = (context: Context, machine: Machine): Promise<string | undefined> =>
  context
    .connect(machine)
    .then((transport) => bootOf(transport, context.signal))
    .catch(() => undefined)

/**
 * Waits until a host has booted, lets fleet in, and its engine answers where it had one. `before` is the boot that must be
 * over: a host that is told to restart goes on answering for a while.
 */
async function awaitBoot(
  context: Context,
  machine: ReadyMachine,
  progress: Progress,
  before: string | undefined,
): Promise<void> {
  const deadline = Date.now() + bootTime
  while (!(await hasBooted(context, machine, progress, { before, deadline }))) {
    if (Date.now() > deadline) throw notReady(machine)
    await rest(context.signal)
  }
}

const rest = (signal: AbortSignal): Promise<void> =>
  sleep(pause, undefined, { signal }).catch(() => signal.throwIfAborted())

async function hasBooted(
  context: Context,
  machine: ReadyMachine,
  progress: Progress,
  { before, deadline }: { readonly before: string | undefined; readonly deadline: number },
): Promise<boolean> {
  const { name, host, engine } = machine
  const { signal } = context
  try {
    await using transport = await waitForSsh(context, machine, progress)
    if (before !== undefined && (await bootOf(transport, signal)) === before) return false
    if (engine === 'none' || host.engine === undefined) return true
    progress('wait for the engine')
    const target = { machine: name, transport, socket: host.socket, signal }
    // Over the same connection: a login costs a slow host that boots more than the look.
    while ((await probeHost(target)).engine?.version === undefined) {
      if (Date.now() > deadline) return false
      await rest(signal)
    }
    return true
  } catch (error) {
    if (error instanceof UserError && error.kind === 'unreachable') return false
    throw error
  }
}

const notReady = ({ name }: ReadyMachine): UserError =>
  new UserError(
    'failed',
    `${name} or its engine did not come back within ${bootTime / 60_000} minutes`,
    {
      machine: name,
      hint: `repair it: fleet provision ${name}; engine log: fleet ssh ${name} -- sudo journalctl -u docker`,
    },
  )
