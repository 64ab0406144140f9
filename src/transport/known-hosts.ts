import { createHmac } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { codeOf } from '../errors.ts'
import { parsePublicKey } from './host-keys.ts'

// sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"

/** The name that a host has in these files: the port is told only where it is not 22. */
const nameOf = (address: string, port: number): string =>
  port === 22 ? address.toLowerCase() : `[${address.toLowerCase()}]:${port}`

/** A pattern of `*` and `?` as an expression; every other character stands for itself. */
const wildcards = (pattern: string): RegExp =>
  new RegExp(
    `^${pattern
      .replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
      .replaceAll('*', '.*')
      .replaceAll('?', '.')}$`,
    'i',
  )

/** `|1|SALT|HMAC-SHA1 of the name`, both in base64. */
function matchesHashed(hashed: string, name: string): boolean {
  const [, version, salt = '', hash] = hashed.split('|')
  if (version !== '1') return false
  return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === hash
}

/** A list matches when one of its patterns does and none of its negated ones. */
function matchesList(list: string, name: string): boolean {
  if (list.startsWith('|')) return matchesHashed(list, name)
  const patterns = list.split(',')
  const applies = (pattern: string) => wildcards(pattern).test(name)
  const refused = patterns.some((pattern) => pattern.startsWith('!') && applies(pattern.slice(1)))
  return !refused && patterns.some((pattern) => !pattern.startsWith('!') && applies(pattern))
}

interface Entry {
  readonly marker: string | undefined
  readonly hosts: string
  readonly key: string
}

function parseLine(line: string): Entry | undefined {
  const words = line.trim().split(/\s+/)
  const marker = words[0]?.startsWith('@') ? words.shift() : undefined
  const [hosts, ...rest] = words
  const key = parsePublicKey(rest.join(' '))
  if (hosts === undefined || hosts.startsWith('#') || key === undefined) return undefined
  return { marker, hosts, key }
}

/** The keys that the text of a known_hosts file trusts for a host, as `TYPE BASE64`. Certificate authorities are left out. */
export function selectKnownHostKeys(
  text: string,
  address: string,
  port: number,
): readonly string[] {
  const name = nameOf(address, port)
  const entries = text
    .split('\n')
    .map(parseLine)
    .filter((entry) => entry !== undefined && matchesList(entry.hosts, name))
    .filter((entry) => entry !== undefined)
  const revoked = new Set(
    entries.filter(({ marker }) => marker === '@revoked').map(({ key }) => key),
  )
  const trusted = entries.filter(({ marker, key }) => marker === undefined && !revoked.has(key))
  return [...new Set(trusted.map(({ key }) => key))]
}

async function readIfThere(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'EACCES') return ''
    throw error
  }
}

/** The keys that this person's and this computer's known_hosts files trust for a host (ssh_config(5) names the files). */
export async function findKnownHostKeys(
  address: string,
  port: number,
  env: Readonly<Record<string, string | undefined>>,
): Promise<readonly string[]> {
  const own = join(env['HOME'] ?? homedir(), '.ssh')
  const texts = await Promise.all(
    [
      join(own, 'known_hosts'),
      join(own, 'known_hosts2'),
      '/etc/ssh/ssh_known_hosts',
      '/etc/ssh/ssh_known_hosts2',
    ].map(readIfThere),
  )
  return selectKnownHostKeys(texts.join('\n'), address, port)
}
