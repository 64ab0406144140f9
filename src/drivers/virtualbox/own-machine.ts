import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { UserError, codeOf } from '../../errors.ts'
import type { HostRecord } from '../../machine/machine.ts'
import { tokenPattern } from '../../machine/record-patterns.ts'
import type { Call } from '../driver.ts'
import { checkOwnedBy, isOwnedBy } from '../ownership.ts'
import { type VirtualMachine, findVm, readExtraData } from './machine.ts'
import type { Env, Paths } from './paths.ts'

/** Tags of a machine, which identify its fleet and token. */
export type MachineTags = Readonly<Record<string, string>>

/** Writes the tags of a machine, before any other part of it exists. */
export async function writeMetadata(paths: Paths, token: string, tags: MachineTags): Promise<void> {
  const { folder, metadata } = paths.machine(token)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await writeFile(metadata, `${JSON.stringify(tags)}\n`)
}

/** Reads a machine's tags; returns none if its creation was not started on this computer. */
async function readMetadata(paths: Paths, token: string): Promise<MachineTags> {
  try {
    return JSON.parse(await readFile(paths.machine(token).metadata, 'utf8')) as MachineTags
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || error instanceof SyntaxError) return {} // a SyntaxError means that writing was interrupted
    throw error
  }
}

/** Reads the tags of all machines whose creation was started on this computer, keyed by token. */
export async function readAllMetadata(paths: Paths): Promise<ReadonlyMap<string, MachineTags>> {
  const tokens = await readdir(paths.machines).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return []
    throw error
  })
  const notes = await Promise.all(
    tokens
      .filter((name) => tokenPattern.test(name))
      .map(async (token) => [token, await readMetadata(paths, token)] as const),
  )
  return new Map(notes)
}

/**
 * Throws kind `failed` for a machine that fleet did not create for this token, according to its tags and the metadata
 * file that is written before its creation. The UUID could also belong to one of the user's own machines.
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

/**
 * Returns the machine that was created for a token, if it exists. Throws kind `failed` if another machine has its UUID.
 */
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

/** Whether an ID is a UUID. VirtualBox would also accept a name or an option. */
export const isMachineId = (id: string | undefined): id is string =>
  id !== undefined && uuid.test(id)

/**
 * Returns the ID of a host's machine, after checking that the machine belongs to this host. For a
 * host that fleet did not create, this is the ID in the record.
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
