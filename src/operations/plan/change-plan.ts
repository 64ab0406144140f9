import { createHash } from 'node:crypto'
import { UserError, messageOf } from '../../errors.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'
import { shellQuote } from '../../os/shell-quote.ts'

/** An option of a host that is to be another one. */
interface OptionChange {
  readonly option: string
  readonly from: string
  readonly to: string
}

/** One thing that is to happen to a machine. */
export interface Change {
  readonly machine: string
  /**
   * `create`, `adopt`: make or take in the host that the entry wants, or go on with that. `change`: bring about options on the
   * host that is there. `start`, `stop`: switch it. `operators`: let in exactly those operators that the inventory names.
   * `engine`: bring the engine to the version wanted. `replace`: remove the host and make another one under the same name, or go on with that. `remove`: take the machine away,
   * host and entry, or go on with that.
   */
  readonly action:
    | 'create'
    | 'adopt'
    | 'change'
    | 'start'
    | 'stop'
    | 'operators'
    | 'engine'
    | 'replace'
    | 'remove'
  readonly why: string
  /** A host that is there goes, with all that is on it, or one that fleet did not make is switched off: only once a person has confirmed it by name. */
  readonly destructive?: true
  /** Of `replace`: there is no host any more that could be lost. */
  readonly gone?: true
  /** Of `operators`: keys that are revoked go out of lines too that fleet did not write. */
  readonly outside?: true
  /** The host does not run meanwhile. */
  readonly stops?: true
  /** Of `change` and `replace`. */
  readonly options?: readonly OptionChange[]
  /** What the host is given of this computer and of its network: `folder /home/ana/code of this computer, writable, as code`. */
  readonly grants?: readonly string[]
}

/** Something that fleet remembers and is another way now. */
export interface Drift {
  readonly machine: string
  readonly field: 'address' | 'os' | 'arch' | 'engine'
  readonly expected?: string
  readonly seen: string
}

/** Something that fleet does not do by itself. */
export interface Issue {
  readonly machine: string
  readonly why: string
  readonly hint?: string
}

/** What was found of one machine. */
export interface PlanPart {
  readonly changes?: readonly Change[]
  readonly drift?: readonly Drift[]
  readonly issues?: readonly Issue[]
}

/** What the inventory wants and is not so yet, and what else was seen. */
export interface ChangePlan {
  readonly version: 1
  /** The digest of the inventory that it was made of. */
  readonly inventory: string
  readonly changes: readonly Change[]
  readonly drift: readonly Drift[]
  readonly issues: readonly Issue[]
  /** The machines that it says nothing of, since others were chosen. In the order of the inventory. */
  readonly leftOut?: readonly string[]
}

/** What a plan says of some machines, where an inventory has others too. */
export function narrowPlan(
  plan: ChangePlan,
  { machines }: Pick<Inventory, 'machines'>,
  chosen: ReadonlySet<string>,
): ChangePlan {
  const { changes, drift, issues, leftOut: before = [] } = plan
  const isChosen = ({ machine }: { readonly machine: string }): boolean => chosen.has(machine)
  const leftOut = [...machines.keys()].filter((name) => !chosen.has(name) || before.includes(name))
  return {
    ...plan,
    changes: changes.filter(isChosen),
    drift: drift.filter(isChosen),
    issues: issues.filter(isChosen),
    ...(leftOut.length > 0 && { leftOut }),
  }
}

/** Tells what one inventory says from what another one does. Comments do not count. */
export function digestInventory({
  id,
  defaults,
  operators,
  profiles,
  machines,
}: Inventory): string {
  const said = {
    ...{ id, defaults },
    operators: [...operators],
    profiles: [...profiles],
    machines: [...machines.values()],
  }
  return createHash('sha256').update(JSON.stringify(said)).digest('base64url')
}

const changedSince = (): UserError =>
  new UserError('usage', 'the inventory has changed since the plan was made', {
    hint: 'make a new plan: fleet plan',
  })

/** Throws kind `usage` when an inventory is another one than a plan was made of. */
export function checkPlanned(plan: ChangePlan, inventory: Inventory): void {
  if (plan.inventory !== digestInventory(inventory)) throw changedSince()
}

/** Reads a plan that `fleet plan --out` wrote. Throws kind `usage` for anything else. */
export function parsePlan(text: string, file: string): ChangePlan {
  const notPlan = (why: string): UserError =>
    new UserError('usage', `${file} is not a plan: ${why}`, {
      hint: `fleet plan --out ${shellQuote(file)}`,
    })
  let plan: Partial<ChangePlan> | null
  try {
    plan = JSON.parse(text) as Partial<ChangePlan> | null
  } catch (error) {
    throw notPlan(messageOf(error))
  }
  if (plan?.version !== 1) throw notPlan('unknown format version')
  const { inventory, changes, drift, issues, leftOut } = plan
  if (inventory === undefined || !changes || !drift || !issues) throw notPlan('parts are missing')
  const parts = { inventory, changes, drift, issues, ...(leftOut && { leftOut }) }
  return { version: 1, ...parts }
}
