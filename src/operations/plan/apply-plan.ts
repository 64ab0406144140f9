import { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import { resolveJumpChain } from '../../machine/jump-hosts.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'
import type { Change } from './change-plan.ts'
import { findMachine } from '../inventory/choose-machines.ts'
import type { Context } from '../context.ts'
import type { Progress } from '../../os/progress.ts'
import { createMachine } from '../create/create-machine.ts'
import { syncOperatorKeys, operatorsOf } from '../operators/install-operator-keys.ts'
import { provisionMachine } from '../provision/provision-machine.ts'
import { removeMachine } from '../machine/remove-machine.ts'
import { replaceMachine } from '../create/replace-machine.ts'
import { updateMachine } from './update-machine.ts'
import type { Members } from '../swarm/interrupt-members.ts'
import { switchPower } from '../machine/switch-power.ts'
import { isCreatedByFleet, wasRemovalStartedHere } from './destructive-changes.ts'
import type { HostKeyTrust } from '../trust/trust-host-key.ts'

/** All changes that a plan makes to one machine, in order. */
export interface MachineChanges {
  readonly name: MachineName
  readonly changes: readonly Change[]
}

/** Callbacks and options of {@link applyTo}. */
interface ApplyCalls {
  readonly progress: Progress
  readonly signal: AbortSignal
  readonly trust: HostKeyTrust
}

/** The number of jump hosts of a machine. */
const depthOf = ({ machines }: Inventory, machine: Machine): number =>
  resolveJumpChain(machines, machine).jumps.length

/** Groups changes by machine, with jump hosts before the machines behind them. */
export function orderChanges(
  inventory: Inventory,
  all: readonly Change[],
): readonly MachineChanges[] {
  const names = [...new Set(all.map(({ machine }) => machine))]
  return names
    .map((name) => findMachine(inventory, name))
    .toSorted((a, b) => depthOf(inventory, a) - depthOf(inventory, b))
    .map(({ name }) => ({
      name,
      changes: all.filter(({ machine }) => machine === name),
    }))
}

/**
 * Applies the changes of each machine in sequence, after those of its jump host. A change can be interrupted at any
 * point, and is continued by the next plan. `leaving` are the machines that are being removed, which may be jump hosts
 * of each other. `members` are the machines that are nodes of swarms.
 */
export function applyTo(
  context: Context,
  inventory: Inventory,
  {
    leaving = new Set(),
    members,
  }: { readonly leaving?: ReadonlySet<string>; readonly members?: Members | undefined } = {},
) {
  const running = new Map<string, Promise<void>>()
  return async ({ name, changes }: MachineChanges, calls: ApplyCalls): Promise<MachineChanges> => {
    const { via } = findMachine(inventory, name)
    const jumpHost = via === undefined ? undefined : running.get(via)
    const work = (async () => {
      if (jumpHost !== undefined) {
        calls.progress(`wait for ${via}`)
        await jumpHost.catch(() => {
          throw new UserError(
            'failed',
            `${name} was not changed: changing its jump host ${via} failed`,
            {
              machine: name,
            },
          )
        })
      }
      for (const change of changes)
        await applyChange(context, change, { ...calls, leaving, members })
    })()
    running.set(name, work)
    await work
    return { name, changes }
  }
}

/** The machines that are being removed together, and those that are nodes of swarms. */
interface HostsInTransition {
  readonly leaving: ReadonlySet<string>
  readonly members: Members | undefined
}

async function applyChange(
  context: Context,
  { machine: name, action, destructive, effect, gone, outside, stops }: Change,
  { progress, signal, trust, leaving, members }: ApplyCalls & HostsInTransition,
): Promise<void> {
  const stoppable = context.with({ signal })
  const inventory = await (await context.inventory()).read()
  const machine = findMachine(inventory, name)
  const calls = { progress, signal }
  switch (action) {
    case 'create':
    case 'adopt':
      await createMachine(
        stoppable,
        { name: machine.name, trust },
        { progress, approve: async () => true },
      )
      return
    case 'change':
      await (stops === true && members !== undefined
        ? members.restart(machine, calls, () => updateMachine(stoppable, machine, calls))
        : updateMachine(stoppable, machine, calls))
      return
    case 'start':
      await startMachine(stoppable, machine, calls)
      return
    case 'stop': {
      checkStopApproved(machine, destructive === true)
      const stop = () => switchPower(stoppable, machine, action, calls)
      await (members === undefined ? stop() : members.stop(machine, calls, stop))
      return
    }
    case 'operators':
      progress('update operator keys')
      await syncOperatorKeys(
        stoppable,
        { fleet: inventory.id, machine, signal },
        { keys: operatorsOf(inventory, machine), takesOutside: outside === true },
      )
      return
    case 'engine':
      await provisionMachine(
        stoppable,
        machine,
        { progress, approve: async () => true },
        { upgrades: true },
      )
      return
    case 'engine-config':
      await provisionMachine(
        stoppable,
        machine,
        { progress, approve: async () => true },
        // The effect that a plan file specifies is not trusted: only a confirmed change may be destructive.
        { most: destructive === true ? 'destructive' : effect === 'live' ? 'live' : 'restart' },
      )
      return
    case 'replace':
    case 'remove':
      if (gone === true) await checkGone(stoppable, machine)
      else await checkRemovalApproved(context, machine, destructive === true)
      await members?.leave(machine, calls)
      if (action === 'replace')
        await replaceMachine(stoppable, machine, { progress, signal, trust })
      else await removeMachine(stoppable, machine, { progress, signal, leaving })
  }
}

/** Starts a host, and sets its swarm node to active, so that it gets tasks again. */
async function startMachine(
  context: Context,
  machine: Machine,
  calls: Pick<ApplyCalls, 'progress' | 'signal'>,
): Promise<void> {
  const started = await switchPower(context, machine, 'start', calls)
  const { swarms } = await (await context.inventory()).read()
  if (swarms.size === 0) return
  const { activateMember } = await import('../swarm/interrupt-members.ts')
  await activateMember(context, started, calls)
}

/** Throws kind `failed` for a host that fleet did not create, unless the user has confirmed stopping it. */
function checkStopApproved(
  { name, host = { phase: 'ready' } }: Machine,
  isApproved: boolean,
): void {
  if (isApproved || isCreatedByFleet(host)) return
  throw new UserError('failed', `${name}'s host was not stopped: fleet did not create it`, {
    machine: name,
    hint: `make a new plan: fleet plan; or stop the host: fleet stop ${name}`,
  })
}

/**
 * Throws kind `failed` unless the provider reports that it has reclaimed the host. Otherwise, replacing the host would
 * require confirmation; the plan file is not trusted.
 */
async function checkGone(context: Context, { name, driver, host }: Machine): Promise<void> {
  const call = { signal: context.signal, progress: () => {} }
  const observed =
    host && (await (await context.loadDriver(driver)).observe(new Map([[name, host]]), call))
  if (observed?.get(name)?.reclaimed === true) return
  throw new UserError('failed', `${name}'s host still exists, so it was not replaced`, {
    machine: name,
    hint: 'make a new plan: fleet plan',
  })
}

/** Throws for a machine that is now protected, and for one whose removal has not been confirmed. */
async function checkRemovalApproved(
  context: Context,
  machine: Machine,
  isApproved: boolean,
): Promise<void> {
  const { name, protected: isProtected } = machine
  if (!isProtected && (isApproved || (await wasRemovalStartedHere(context, machine)))) return
  const why = isProtected
    ? 'the machine is protected'
    : 'its removal was not confirmed on this computer'
  throw new UserError('failed', `${name} was not removed: ${why}`, {
    machine: name,
    hint: `make a new plan: fleet plan; or remove the machine: fleet rm ${name}`,
  })
}
