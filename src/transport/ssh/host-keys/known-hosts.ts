import { createHmac } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { codeOf } from '../../../errors.ts'
import { matchesGlob } from '../../../machine/glob.ts'
import { parsePublicKey } from './host-key.ts'
import type { Environment } from '../../../os/environment.ts'

// sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"

/** The name that a host has in these files: with its port if that is not 22. */
const nameOf = (address: string, port: number): string =>
  port === 22 ? address.toLowerCase() : `[${address.toLowerCase()}]:${port}`

/** `|1|SALT|HMAC-SHA1 of the name`, both in base64. */
function matchesHashed(hashed: string, name: string): boolean {
  const [, version, salt = '', hash] = hashed.split('|')
  if (version !== '1') return false
  return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === hash
}

/** Which host to look up. */
export interface KnownHostQuery {
  readonly address: string
  readonly port: number
  /** The name to look up in place of address and port (ssh_config(5), HostKeyAlias). */
  readonly alias?: string | undefined
  /** Absent: this person's and this computer's. */
  readonly files?: readonly string[] | undefined
}

/** A key, as `TYPE BASE64`, and the line that it stands in. */
export interface KnownHostKey {
  readonly key: string
  readonly file: string
  readonly line: number
}

/** What known_hosts files say of a host. */
export interface KnownHost {
  /** Keys that the host may show. */
  readonly trusted: readonly KnownHostKey[]
  /** Keys that must never be accepted. */
  readonly revoked: readonly KnownHostKey[]
  /** Keys of authorities whose certificates the host may show (`@cert-authority`). */
  readonly authorities: readonly KnownHostKey[]
}

/** A list matches when one of its patterns does and none of its negated ones. */
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

/** Of several lines with one key, the first. */
const onceEach = (keys: readonly KnownHostKey[]): readonly KnownHostKey[] =>
  keys.filter((one, index) => keys.findIndex(({ key }) => key === one.key) === index)

/**
 * The keys of a host in the text of a known_hosts file. Keys of certificate authorities are not keys of a host. A key
 * that is revoked for the host at port 22 is so at every port.
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
  const matching = (marker: string | undefined, sought: readonly string[]) =>
    entries
      .filter((entry) => entry.marker === marker)
      .filter(({ hosts }) => sought.some((one) => matchesList(hosts, one)))
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

/** This person's and this computer's files (ssh_config(5) names them). */
function usualFiles(env: Environment): readonly string[] {
  const own = join(env['HOME'] || homedir(), '.ssh')
  return [
    join(own, 'known_hosts'),
    join(own, 'known_hosts2'),
    '/etc/ssh/ssh_known_hosts',
    '/etc/ssh/ssh_known_hosts2',
  ]
}

/** What known_hosts files say of a host. What one of them revokes, none of them trusts. */
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

/** The lines of known_hosts files by which keys of a host are revoked; reads no more of them than it must. */
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
