import { createHmac } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { codeOf } from '../../../errors.ts'
import { matchesGlob } from '../../../machine/glob.ts'
import { parsePublicKey } from './host-key.ts'
import type { Environment } from '../../../os/environment.ts'

// The file format is described in sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT".

/** Returns a host's name as it appears in known_hosts files: with the port unless the port is 22. */
const nameOf = (address: string, port: number): string =>
  port === 22 ? address.toLowerCase() : `[${address.toLowerCase()}]:${port}`

/** Whether a hashed name, `|1|SALT|HMAC-SHA1 of the name` with both parts in base64, is a hash of `name`. */
function matchesHashed(hashed: string, name: string): boolean {
  const [, version, salt = '', hash] = hashed.split('|')
  if (version !== '1') return false
  return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === hash
}

/** The host to look up. */
export interface KnownHostQuery {
  readonly address: string
  readonly port: number
  /** The name to look up instead of the address and port (ssh_config(5), HostKeyAlias). */
  readonly alias?: string | undefined
  /** The files to read (default: the user's files and the system's). */
  readonly files?: readonly string[] | undefined
}

/** A key, as `TYPE BASE64`, with its file and line number. */
export interface KnownHostKey {
  readonly key: string
  readonly file: string
  readonly line: number
}

/** The keys of a host in known_hosts files. */
export interface KnownHost {
  /** Keys that the host may present. */
  readonly trusted: readonly KnownHostKey[]
  /** Keys that must never be accepted. */
  readonly revoked: readonly KnownHostKey[]
  /** Keys of authorities whose certificates the host may present (`@cert-authority`). */
  readonly authorities: readonly KnownHostKey[]
}

/** Whether a list of patterns matches a name: at least one pattern matches, and no negated pattern does. */
function matchesList(list: string, name: string): boolean {
  if (list.startsWith('|')) return matchesHashed(list, name)
  const patterns = list.split(',')
  const applies = (pattern: string) => matchesGlob(pattern.toLowerCase(), name.toLowerCase())
  const refused = patterns.some((pattern) => pattern.startsWith('!') && applies(pattern.slice(1)))
  return !refused && patterns.some((pattern) => !pattern.startsWith('!') && applies(pattern))
}

interface Entry extends KnownHostKey {
  readonly marker: string | undefined
  readonly hosts: string
}

function parseLine(text: string, file: string, line: number): Entry | undefined {
  const words = text.trim().split(/\s+/)
  const marker = words[0]?.startsWith('@') ? words.shift() : undefined
  const [hosts, ...rest] = words
  const key = parsePublicKey(rest.join(' '))
  if (hosts === undefined || hosts.startsWith('#') || key === undefined) return undefined
  return { marker, hosts, key, file, line }
}

/** Keeps the first of several lines with the same key. */
const onceEach = (keys: readonly KnownHostKey[]): readonly KnownHostKey[] =>
  keys.filter((one, index) => keys.findIndex(({ key }) => key === one.key) === index)

/**
 * Selects the keys of a host from the text of a known_hosts file. Keys of certificate authorities are not counted among
 * the host's own keys. A key that is revoked for the host at port 22 is revoked at every port.
 */
export function selectKnownHost(
  text: string,
  file: string,
  { address, port, alias }: KnownHostQuery,
): KnownHost {
  const name = alias?.toLowerCase() ?? nameOf(address, port)
  const names = new Set([name, (alias ?? address).toLowerCase(), nameOf(address, port)])
  const entries = text
    .split('\n')
    .map((line, index) => parseLine(line, file, index + 1))
    .filter((entry) => entry !== undefined)
  const matching = (marker: string | undefined, wanted: readonly string[]) =>
    entries
      .filter((entry) => entry.marker === marker)
      .filter(({ hosts }) => wanted.some((one) => matchesList(hosts, one)))
      .map(({ key, line }) => ({ key, file, line }))
  return {
    trusted: matching(undefined, [name]),
    revoked: matching('@revoked', [...names]),
    authorities: matching('@cert-authority', [...names]),
  }
}

async function readIfThere(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (['ENOENT', 'EACCES', 'ENOTDIR', 'EISDIR'].includes(codeOf(error) ?? '')) return ''
    throw error
  }
}

/** Returns the default known_hosts files of the user and of the system, as listed in ssh_config(5). */
function usualFiles(env: Environment): readonly string[] {
  const own = join(env['HOME'] || homedir(), '.ssh')
  return [
    join(own, 'known_hosts'),
    join(own, 'known_hosts2'),
    '/etc/ssh/ssh_known_hosts',
    '/etc/ssh/ssh_known_hosts2',
  ]
}

/** Finds the keys of a host in known_hosts files. A key that one of the files revokes is not trusted. */
export async function findKnownHost(query: KnownHostQuery, env: Environment): Promise<KnownHost> {
  const files = query.files ?? usualFiles(env)
  const found = await Promise.all(
    files.map(async (file) => selectKnownHost(await readIfThere(file), file, query)),
  )
  const revoked = onceEach(found.flatMap((each) => each.revoked))
  const isRevoked = new Set(revoked.map(({ key }) => key))
  const trusted = onceEach(found.flatMap((each) => each.trusted))
  const authorities = onceEach(found.flatMap((each) => each.authorities))
  const isValid = ({ key }: KnownHostKey): boolean => !isRevoked.has(key)
  return { trusted: trusted.filter(isValid), authorities: authorities.filter(isValid), revoked }
}

/** Finds the lines of known_hosts files that revoke keys of a host. Parses only files that contain such lines. */
export async function findRevokedKeys(
  query: KnownHostQuery,
  env: Environment,
): Promise<readonly KnownHostKey[]> {
  const files = query.files ?? usualFiles(env)
  const found = await Promise.all(
    files.map(async (file) => {
      const text = await readIfThere(file)
      return text.includes('@revoked') ? selectKnownHost(text, file, query).revoked : []
    }),
  )
  return onceEach(found.flat())
}
