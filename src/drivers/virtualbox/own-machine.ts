import { UserError } from '../../errors.ts'
import type { HostRecord } from '../../machine/machine.ts'
import type { Call } from '../driver.ts'
import { checkOwnedBy, isOwnedBy } from '../ownership.ts'
import { type VirtualMachine, findVm, readExtraData } from './machine.ts'
import { readMetadata } from './metadata.ts'
import type { Env } from './paths.ts'

/**
 * Throws kind `failed` for a machine that fleet did not create for this token, according to its
 * tags and the metadata file that is written before its creation. The user's own machines have
 * UUIDs, too.
 */
async function checkOwner(
  { vbox, paths }: Env,
  { id, name }: VirtualMachine,
  token: string,
  call: Call,
): Promise<void> {
  if (isOwnedBy(token, await readMetadata(paths, token))) return
  checkOwnedBy(
    token,
    await readExtraData(vbox, id, call),
    `the machine ${name} in VirtualBox (${id})`,
  )
}

/** The machine of a token, if it exists. Throws kind `failed` if another machine has its UUID. */
export async function findOwnMachine(
  env: Env,
  token: string,
  call: Call,
): Promise<VirtualMachine | undefined> {
  const machine = await findVm(env.vbox, token, call)
  if (machine !== undefined) await checkOwner(env, machine, token, call)
  return machine
}

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** Whether an id is a UUID. VirtualBox would also accept a name or an option. */
export const isMachineId = (id: string | undefined): id is string =>
  id !== undefined && uuid.test(id)

/**
 * The id of a host's machine, after checking that it belongs to this host. For a host that fleet
 * did not create, this is the id in the record.
 */
export async function requireOwnId(
  env: Env,
  { id, token }: HostRecord,
  call: Call,
): Promise<string> {
  if (id === undefined) {
    throw new UserError('failed', 'the machine does not exist yet', {
      hint: 'to finish creating the machine, run fleet create again',
    })
  }
  if (!isMachineId(id)) {
    throw new UserError(
      'inventory',
      `invalid ID under "host:" in the inventory (not a UUID): ${JSON.stringify(id)}`,
      {
        hint: 'correct "id" under "host:" in the inventory; to list the machines: VBoxManage list vms',
      },
    )
  }
  if (token === undefined) return id
  checkOwnedBy(token, { 'fleet:token': id }, `the machine ${id} in VirtualBox`)
  await findOwnMachine(env, token, call)
  return id
}
