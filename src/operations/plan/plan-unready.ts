import { type Machine, setUpCommand, lacksAddress } from '../../machine/machine.ts'
import { countingProfile } from '../../machine/profiles.ts'
import type { AuthorizedKeys, AuthorizedKey } from '../../provision/host/authorized-keys.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'
import type { Change, PlanPart } from './change-plan.ts'
import { planDestructive } from './destructive-changes.ts'
import { operatorsOf } from '../operators/install-operator-keys.ts'

/** Facts about a machine that are not in its entry. */
interface UnreadyFacts {
  /** Whether the driver creates hosts. */
  readonly makesHosts: boolean
  /** Whether this user started the recorded removal on this computer. */
  readonly wasStartedHere: boolean
}

/** Plans the changes of a machine that has no host yet, or whose creation or removal was interrupted. */
export function planUnready(
  inventory: Inventory,
  machine: Machine,
  { makesHosts, wasStartedHere }: UnreadyFacts,
): PlanPart {
  const { name, host } = machine
  if (host?.phase === 'removing') return continueRemoval(machine, wasStartedHere)
  const counted = inventory.entries.has(name)
    ? undefined
    : countingProfile(inventory.profiles, name)
  const isNew = counted
    ? `profile ${counted.profile} sets "count: ${counted.count}"`
    : `the host ${makesHosts ? 'does not exist' : 'has not been adopted'} yet`
  const why = host === undefined ? isNew : 'host creation was interrupted'
  if (lacksAddress(machine)) {
    return {
      issues: [
        {
          machine: name,
          why: `${why}, and the entry has no address`,
          hint: `to set up the machine: ${setUpCommand(machine)}`,
        },
      ],
    }
  }
  if (makesHosts) return { changes: [{ machine: name, action: 'create', why }] }
  const wanted = machine.driver === 'local' ? [] : operatorsOf(inventory, machine)
  const keyChanges = planOperators(machine, wanted, { block: [], elsewhere: new Set() })
  return { changes: [{ machine: name, action: 'adopt', why }, ...keyChanges] }
}

/**
 * Plans to continue an interrupted removal. This requires confirmation, unless this user started the removal on this
 * computer.
 */
function continueRemoval(machine: Machine, wasStartedHere: boolean): PlanPart {
  const { name, host, protected: isProtected } = machine
  const isReplaced = host?.replacing === true
  const action = isReplaced ? 'replace' : 'remove'
  const subject = `host ${isReplaced ? 'replacement' : 'removal'}`
  if (!wasStartedHere) {
    return planDestructive(machine, {
      action,
      why: `${subject} was started by another user or on another computer`,
    })
  }
  const why = `${subject} was interrupted`
  if (!isProtected) return { changes: [{ machine: name, action, why }] }
  return {
    issues: [
      {
        machine: name,
        why: `${why}, and the machine is protected`,
        hint: isReplaced
          ? `to finish replacing the host: fleet set ${name} protected=false, and then fleet apply`
          : `to finish removing the host: fleet rm ${name}`,
      },
    ],
  }
}

const lacks = (some: readonly AuthorizedKey[], key: string): boolean =>
  !some.some((other) => other.key === key)

/** Plans the change that authorizes exactly the wanted operators on a host; empty if they are already authorized. */
export function planOperators(
  { name }: Machine,
  wanted: readonly AuthorizedKey[],
  { block, elsewhere }: AuthorizedKeys,
): readonly Change[] {
  const added = wanted.filter(({ key }) => lacks(block, key)).map((one) => `authorize ${one.name}`)
  const revoked = block.filter(({ key }) => lacks(wanted, key))
  const removed = revoked.map((one) =>
    elsewhere.has(one.key)
      ? `revoke ${one.name}'s key, also in authorized_keys lines that fleet did not write`
      : `revoke ${one.name}'s key`,
  )
  const why = [...added, ...removed].join(', ')
  if (why === '') return []
  const takesOutside = revoked.some(({ key }) => elsewhere.has(key))
  return [{ machine: name, action: 'operators', why, ...(takesOutside && { outside: true }) }]
}
