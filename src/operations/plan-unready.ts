import { type Machine, beginCommand, lacksAddress } from '../machine/machine.ts'
import { wantedBy } from '../machine/profiles.ts'
import type { LetIn } from '../provision/authorized-keys.ts'
import type { Inventory } from '../state/inventory.ts'
import type { Change, Finding } from './change-plan.ts'
import { operatorsOf } from './let-operators-in.ts'

/** What is to be done where there is no host yet, or where that was cut short. */
export function planUnready(inventory: Inventory, machine: Machine, makesHosts: boolean): Finding {
  const { name, host } = machine
  if (host?.phase === 'removing') return endRemoval(machine)
  const counted = inventory.entries.has(name) ? undefined : wantedBy(inventory.profiles, name)
  const isNew = counted
    ? `profile ${counted.profile} has count: ${counted.count}`
    : 'it is not there yet'
  const why = host === undefined ? isNew : 'its creation was begun and cut short'
  if (lacksAddress(machine)) {
    return {
      matters: [{ machine: name, why: `${why}: nothing says where`, hint: beginCommand(machine) }],
    }
  }
  if (makesHosts) return { changes: [{ machine: name, action: 'create', why }] }
  const wanted = machine.driver === 'local' ? [] : operatorsOf(inventory, machine)
  const letsIn = planOperators(machine, wanted, [])
  return { changes: [{ machine: name, action: 'adopt', why }, ...letsIn] }
}

/** A host that is half gone: the person has agreed to that. */
function endRemoval({ name, host, protected: isProtected }: Machine): Finding {
  const isReplaced = host?.renewing === true
  const why = `its ${isReplaced ? 'replacement' : 'removal'} was begun and cut short`
  if (!isProtected) {
    return { changes: [{ machine: name, action: isReplaced ? 'replace' : 'remove', why }] }
  }
  return { matters: [{ machine: name, why: `${why}; protected`, hint: `fleet rm ${name}` }] }
}

const lacks = (some: readonly LetIn[], key: string): boolean =>
  !some.some((other) => other.key === key)

/** The change that makes a host let in whom it should; none where it does. */
export function planOperators(
  { name }: Machine,
  wanted: readonly LetIn[],
  there: readonly LetIn[],
): readonly Change[] {
  const added = wanted.filter(({ key }) => lacks(there, key)).map((one) => `let in ${one.name}`)
  const revoked = there.filter(({ key }) => lacks(wanted, key)).map((one) => `revoke ${one.name}`)
  const why = [...added, ...revoked].join(', ')
  return why === '' ? [] : [{ machine: name, action: 'operators', why }]
}
