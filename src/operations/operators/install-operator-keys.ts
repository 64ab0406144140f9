import { UserError } from '../../errors.ts'
import { type Machine, requireHost } from '../../machine/machine.ts'
import { operatorKeysOf } from '../../machine/operators.ts'
import {
  type AuthorizedKeys,
  type AuthorizedKey,
  commitAuthorizedKeys,
  installAuthorizedKeys,
  parseAuthorizedKeys,
  listAuthorizedKeys,
  rollbackAuthorizedKeys,
} from '../../provision/host/authorized-keys.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'
import { connectHost } from '../../transport/connect.ts'
import { run } from '../../transport/run.ts'
import type { Transport } from '../../transport/transport.ts'
import type { Context } from '../context.ts'
import { describeLogin } from '../connect/describe-login.ts'
import { connectJumpHost } from '../connect/jump-host.ts'

/** The machine on which operators are authorized, and the ID of its inventory. */
interface OperatorTarget {
  readonly fleet: string
  readonly machine: Machine
  readonly signal: AbortSignal
}

async function runScript(
  transport: Transport,
  script: string,
  target: OperatorTarget,
): Promise<string> {
  const { signal, machine } = target
  const { code, stdout, stderr } = await run(transport, ['sh'], { input: script, signal })
  if (code === 0) return stdout
  const why = stderr.trim().split('\n').at(-1) || `exit code ${code}`
  throw new UserError('failed', `cannot update the operator keys: ${why}`, {
    machine: machine.name,
    hint: `check ~/.ssh/authorized_keys on the host: fleet ssh ${machine.name}`,
  })
}

/** The operators that the inventory authorizes on a machine. */
export const operatorsOf = ({ operators }: Inventory, machine: Machine): readonly AuthorizedKey[] =>
  Array.from(operatorKeysOf(operators, machine), ([name, key]) => ({ name, key }))

/**
 * Reads the operator keys that fleet has installed for the login user of a host, and finds those that are also in lines
 * that fleet did not write.
 */
export const readOperators = async (
  transport: Transport,
  target: OperatorTarget,
): Promise<AuthorizedKeys> =>
  parseAuthorizedKeys(await runScript(transport, listAuthorizedKeys(target.fleet), target))

/**
 * Authorizes operators on a new host that has only its login key. Adding keys cannot lock anyone out, so no new login
 * is tested.
 */
export async function addOperators(
  transport: Transport,
  target: OperatorTarget,
  keys: readonly AuthorizedKey[],
): Promise<void> {
  if (keys.length === 0) return
  await runScript(transport, installAuthorizedKeys(target.fleet, { keys }), target)
  await runScript(transport, commitAuthorizedKeys(target.fleet), target)
}

/**
 * Authorizes exactly these operators on a machine; other lines of its authorized_keys are kept. On a host that fleet
 * created, a revoked key is also removed from those lines; on other hosts, only with `takesOutside`, which the user has
 * confirmed in the plan. Tests a new login before the change is committed. If the change would lock out the user, rolls
 * it back and throws kind `credentials`.
 */
export async function syncOperatorKeys(
  context: Context,
  target: OperatorTarget,
  {
    keys,
    takesOutside,
  }: { readonly keys: readonly AuthorizedKey[]; readonly takesOutside: boolean },
): Promise<void> {
  const { fleet, machine } = target
  const transport = await context.connect(machine)
  const { block } = await readOperators(transport, target)
  const isMade = machine.host?.token !== undefined
  const revoked =
    isMade || takesOutside
      ? block.map(({ key }) => key).filter((key) => !keys.some((other) => other.key === key))
      : []
  await runScript(transport, installAuthorizedKeys(fleet, { keys, revoked }), target)
  try {
    const again = await openNewLogin(context, machine, target.signal)
    await again[Symbol.asyncDispose]()
  } catch (error) {
    await runScript(transport, rollbackAuthorizedKeys(fleet), target)
    if (!(error instanceof UserError) || error.kind !== 'credentials') throw error
    throw new UserError('credentials', `this change would lock you out of ${machine.name}`, {
      machine: machine.name,
      hint: 'nothing was changed; add one of your own keys first: fleet operator add NAME --key FILE',
      cause: error,
    })
  }
  await runScript(transport, commitAuthorizedKeys(fleet), target)
}

/** Opens a new connection, since an existing one does not show which keys are accepted now. */
async function openNewLogin(
  context: Context,
  machine: Machine,
  signal: AbortSignal,
): Promise<Transport> {
  const login = await describeLogin(context, { ...machine, host: requireHost(machine) })
  const via = await connectJumpHost(context, machine)
  return connectHost({ ...login, via }, { signal, env: context.env, prompt: context.prompt })
}
