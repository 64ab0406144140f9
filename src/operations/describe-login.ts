import type { ReadyMachine } from '../machine/machine.ts'
import type { SshTarget } from '../transport/ssh.ts'
import type { Context } from './context.ts'

/** Where a host is on record, whose key it must show, and the key that home has for it: all but the way there. */
export async function describeLogin(
  context: Pick<Context, 'keys'>,
  { name, host }: ReadyMachine,
): Promise<Omit<SshTarget, 'via'>> {
  const { address = '', port = 22, user = '', hostKeys = [], key } = host
  const ownKey = key === undefined ? undefined : await context.keys().find(key)
  const identityFiles = ownKey === undefined ? [] : [ownKey]
  return { machine: name, address, port, user, hostKeys, identityFiles }
}
