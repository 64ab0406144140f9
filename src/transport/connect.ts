import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Environment, homeOf } from '../os/environment.ts'
import { ignored, trace } from '../os/trace.ts'
import { valuesOf } from './ssh/config/answer.ts'
import { parseDestination } from './ssh/destination.ts'
import type { SshClient, SshOptions, SshTarget } from './ssh/connect.ts'
import { authorityMark } from './ssh/host-keys/host-key.ts'
import type { Transport } from './transport.ts'

/** The SSH client of a connection. */
export interface ClientChoice {
  readonly client: SshClient
  /** Why fleet's own client is not used, as part of a sentence: "the key … is on a security key". */
  readonly why?: string | undefined
}

const readIfThere = (file: string): Promise<string> =>
  readFile(file, 'utf8').catch(ignored('ssh', 'read a key file', ''))

/** Whether the private key in a file is on a security key (FIDO), which only OpenSSH can use without an agent. */
async function isOnSecurityKey(file: string): Promise<boolean> {
  const text = await readIfThere(file)
  if (text.startsWith('sk-')) return true
  // The OpenSSH format begins with a magic string, the encryption, and the public part (PROTOCOL.key of OpenSSH).
  const [, body = ''] = /-----BEGIN OPENSSH PRIVATE KEY-----([^-]*)/.exec(text) ?? []
  return /sk-(?:ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com/.test(
    Buffer.from(body.slice(0, 400), 'base64').toString('latin1'),
  )
}

/** The default key files of ssh(1): first those for security keys, then the others. */
const [usualSecurityKeys, usualKeys] = [
  ['id_ed25519_sk', 'id_ecdsa_sk'],
  ['id_ed25519', 'id_ecdsa', 'id_rsa', 'id_dsa', 'id_xmss'],
]

/**
 * Finds the first key file for a security key among the configured key files: `files`, and `IdentityFile` in `answer`.
 * A default key file for a security key is considered only if there is no other key.
 */
async function findSecurityKey(
  files: readonly string[],
  answer: readonly string[],
  env: Environment,
): Promise<string | undefined> {
  const home = homeOf(env)
  const named = valuesOf(answer, 'identityfile').map((file) => file.replace(/^~(?=\/)/, home))
  const usual = (names: readonly string[]) => names.map((name) => join(home, '.ssh', name))
  const isUsual = (file: string) => usual([...usualSecurityKeys, ...usualKeys]).includes(file)
  const chosen = [...files, ...named.filter((file) => !isUsual(file))]
  for (const file of chosen) if (await isOnSecurityKey(file)) return file
  const others = [...chosen, ...usual(usualKeys)]
  const found = usual(usualSecurityKeys).find((file) => existsSync(file))
  return found !== undefined && !others.some((file) => existsSync(file)) ? found : undefined
}

/**
 * Adds the output of `ssh -G` to an alias from the user's SSH configuration, so that ssh runs only once for each
 * connection.
 */
async function readAlias(
  { alias }: Pick<SshTarget, 'alias'>,
  env: Environment,
): Promise<SshTarget['alias']> {
  if (alias === undefined || alias.answer !== undefined) return alias
  const { askSsh } = await import('./ssh/config/ask-ssh.ts')
  const answer = await askSsh(parseDestination(alias.destination), env)
  return answer === undefined ? alias : { ...alias, answer }
}

/** Chooses the SSH client: the one that the target names, or OpenSSH if fleet's own client cannot log in. */
export async function chooseClient(
  target: Pick<SshTarget, 'client' | 'hostKeys' | 'identityFiles' | 'alias'>,
  env: Environment,
): Promise<ClientChoice> {
  if (target.client !== undefined) return { client: target.client }
  if (process.platform === 'win32') return { client: 'builtin' }
  if (target.hostKeys.some((key) => key.startsWith(authorityMark)))
    return { client: 'openssh', why: 'the pinned host key is a certificate authority' }
  const { answer } = (await readAlias(target, env)) ?? {}
  const key = await findSecurityKey(target.identityFiles, answer ?? [], env)
  if (key !== undefined)
    return { client: 'openssh', why: `the key ${key} is stored on a security key` }
  if (answer === undefined) return { client: 'builtin' }
  const { needsOpenSsh } = await import('./ssh/config/coverage.ts')
  const why = await needsOpenSsh(answer, env)
  return why === undefined ? { client: 'builtin' } : { client: 'openssh', why }
}

/** Connects and logs in with the client that {@link chooseClient} selects. Throws as `connectSsh` does. */
export async function connectHost(given: SshTarget, options: SshOptions): Promise<Transport> {
  const alias = await readAlias(given, options.env)
  const target = alias === undefined ? given : { ...given, alias }
  const { client, why } = await chooseClient(target, options.env)
  if (client === 'builtin') return (await import('./ssh/connect.ts')).connectSsh(target, options)
  trace(
    'ssh',
    `use the openssh client for ${target.machine}: ${why ?? 'the openssh client is configured'}`,
  )
  return (await import('./openssh/connect.ts')).connectOpenSsh(target, options)
}
