import { createHash } from 'node:crypto'
import { UserError, messageOf } from '../../errors.ts'
import type { Effect } from '../../provision/engine/settings/engine-settings.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'
import { shellQuote } from '../../os/shell-quote.ts'
import type { SwarmRole } from '../../machine/swarms.ts'
import type { ServiceChange } from '../stacks/compare-services.ts'

/** An option whose value changes. */
interface OptionChange {
  readonly option: string
  readonly from: string
  readonly to: string
}

/** One planned change of a machine. */
export interface Change {
  readonly machine: string
  /**
   * `create`, `adopt`: create or adopt the host for the entry, or continue an interrupted attempt. `change`: change
   * options of the existing host. `start`, `stop`: start or stop the host. `operators`: authorize exactly the operators
   * in the inventory. `engine`: upgrade the engine. `engine-config`: change settings of the engine, such as keys in
   * daemon.json. `replace`: remove the host and create a new one under the same name, or continue an interrupted
   * attempt. `remove`: remove the host and the entry, or continue an interrupted removal.
   */
  readonly action:
    | 'create'
    | 'adopt'
    | 'change'
    | 'start'
    | 'stop'
    | 'operators'
    | 'engine'
    | 'engine-config'
    | 'replace'
    | 'remove'
  readonly why: string
  /**
   * Whether the change removes an existing host with all its data, stops a host that fleet did not create, or makes an
   * engine lose its images and containers. The user must confirm such a change by typing the name of the machine.
   */
  readonly destructive?: true
  /** For `replace`: whether the host no longer exists, so that no data is lost. */
  readonly gone?: true
  /** For `operators`: whether to also remove revoked keys from lines of authorized_keys that fleet did not write. */
  readonly outside?: true
  /** Whether the host is stopped during the change. */
  readonly stops?: true
  /** For `engine-config`: whether the engine reloads its settings or is restarted. */
  readonly effect?: Effect
  /** For `change`, `engine-config` and `replace`: the options that change. */
  readonly options?: readonly OptionChange[]
  /**
   * Access to this computer and its network that the host gets, such as `the image /home/ana/disk.qcow2 on this
   * computer`.
   */
  readonly grants?: readonly string[]
}

/** A recorded fact that has changed. */
export interface Drift {
  readonly machine: string
  readonly field: 'address' | 'os' | 'arch' | 'engine'
  readonly expected?: string
  /** The current value; absent if the engine does not answer. */
  readonly actual?: string
}

/** A planned deployment of a stack on one machine. It follows the changes of machines. */
export interface PlannedDeployment {
  readonly stack: string
  /** The machine on which the stack is deployed. For a stack on a swarm, it is one of the swarm's managers. */
  readonly machine: string
  /** The swarm on which the stack is deployed; absent for a stack on a machine. */
  readonly swarm?: string
  /** The digest of the resolved Compose files and the files that they refer to. */
  readonly digest: string
  /** The change of the machine that must be applied first, because fleet cannot connect to the host until then. */
  readonly after?: 'create' | 'adopt' | 'replace' | 'start'
  /**
   * The changes of containers, by service. For a host that must be started first, they are unknown, so the list is
   * empty.
   */
  readonly services: readonly ServiceChange[]
  /**
   * Whether a previous deployment was interrupted while it changed files on the host, so that they are compared and
   * copied again.
   */
  readonly unfinished?: true
  /** Whether to pull newer images first. */
  readonly pull?: true
  /**
   * Resources of this computer that the host gets but that the user has yet to allow, such as `the variable TOKEN in
   * your shell`.
   */
  readonly grants?: readonly string[]
}

/** A planned change of one machine in a swarm. It follows the changes of machines. */
export interface PlannedSwarmChange {
  readonly swarm: string
  readonly machine: string
  /**
   * `init`: initialize the swarm on its first manager. `record`: record the ID of a swarm that has already been
   * initialized. `join`, `promote`, `demote`: make the machine join, or change its role. `label`: set node labels, and
   * activate a node that has just joined. `leave`: make the machine leave. `remove-node`: remove a stale node of
   * the machine. `open-ports`, `close-ports`: open or close, at the machine's provider, the swarm ports
   * between the machine and the other members. `autolock`: turn the locking of managers after a restart on or off.
   */
  readonly action:
    | 'init'
    | 'record'
    | 'join'
    | 'promote'
    | 'demote'
    | 'label'
    | 'leave'
    | 'remove-node'
    | 'open-ports'
    | 'close-ports'
    | 'autolock'
  /** For `join`: the role of the new node. */
  readonly role?: SwarmRole
  /** The ID of an existing node. */
  readonly node?: string
  readonly why: string
  /** The change of the machine that must be applied first. */
  readonly after?: 'create' | 'adopt' | 'replace'
}

/** A problem that the user must resolve. */
export interface Issue {
  /** The name of the machine; absent if the issue concerns a provider or a stack. */
  readonly machine?: string
  readonly why: string
  readonly hint?: string
}

/** Converts an error to an issue. */
export const issueOf = (error: unknown): Issue => ({
  why: messageOf(error),
  ...(error instanceof UserError && error.hint !== undefined && { hint: error.hint }),
})

/** The part of a plan that concerns one machine. */
export interface PlanPart {
  readonly changes?: readonly Change[]
  readonly drift?: readonly Drift[]
  readonly issues?: readonly Issue[]
}

/** The differences between the inventory and the hosts, as `fleet plan` shows and saves them. */
export interface ChangePlan {
  readonly version: 1
  /** The digest of the inventory from which the plan was made. */
  readonly inventory: string
  readonly changes: readonly Change[]
  /** The deployments of stacks; absent if there are none. */
  readonly deployments?: readonly PlannedDeployment[]
  /** The changes of swarms; absent if there are none. */
  readonly swarms?: readonly PlannedSwarmChange[]
  readonly drift: readonly Drift[]
  readonly issues: readonly Issue[]
  /** The machines that were not selected, in the order of the inventory. */
  readonly skipped?: readonly string[]
}

/** Reduces a plan to the selected machines. */
export function narrowPlan(
  plan: ChangePlan,
  { machines }: Pick<Inventory, 'machines'>,
  chosen: ReadonlySet<string>,
): ChangePlan {
  const { changes, deployments = [], swarms = [], drift, issues, skipped: before = [] } = plan
  const isChosen = ({ machine }: { readonly machine?: string }): boolean =>
    machine !== undefined && chosen.has(machine)
  const skipped = [...machines.keys()].filter((name) => !chosen.has(name) || before.includes(name))
  return {
    ...plan,
    changes: changes.filter(isChosen),
    ...(deployments.length > 0 && { deployments: deployments.filter(isChosen) }),
    ...(swarms.length > 0 && { swarms: swarms.filter(isChosen) }),
    drift: drift.filter(isChosen),
    issues: issues.filter(isChosen),
    ...(skipped.length > 0 && { skipped }),
  }
}

/** A digest of an inventory's content that does not depend on comments and layout. */
export function digestInventory({
  id,
  defaults,
  operators,
  profiles,
  stacks,
  swarms,
  machines,
}: Inventory): string {
  const content = {
    ...{ id, defaults },
    operators: [...operators],
    profiles: [...profiles],
    stacks: [...stacks],
    swarms: [...swarms],
    machines: [...machines.values()],
  }
  return createHash('sha256').update(JSON.stringify(content)).digest('base64url')
}

const changedSince = (): UserError =>
  new UserError('usage', 'the inventory has changed since the plan was made', {
    hint: 'make a new plan: fleet plan',
  })

/** Throws kind `usage` when the inventory has changed since the plan was made. */
export function checkPlanned(plan: ChangePlan, inventory: Inventory): void {
  if (plan.inventory !== digestInventory(inventory)) throw changedSince()
}

/** Reads a plan that `fleet plan --out` has written. Throws kind `usage` for anything else. */
export function parsePlan(text: string, file: string): ChangePlan {
  const notPlan = (why: string): UserError =>
    new UserError('usage', `${file} is not a valid plan: ${why}`, {
      hint: `to make a plan: fleet plan --out ${shellQuote(file)}`,
    })
  let plan: Partial<ChangePlan> | null
  try {
    plan = JSON.parse(text) as Partial<ChangePlan> | null
  } catch (error) {
    throw notPlan(messageOf(error))
  }
  if (plan?.version !== 1) throw notPlan('unsupported format version')
  const { inventory, changes, deployments, swarms, drift, issues, skipped } = plan
  if (inventory === undefined || !changes || !drift || !issues)
    throw notPlan('required fields are missing')
  return {
    ...{ version: 1, inventory, changes },
    ...(deployments && { deployments }),
    ...(swarms && { swarms }),
    ...{ drift, issues },
    ...(skipped && { skipped }),
  }
}
