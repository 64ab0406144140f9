import { gunzipSync } from 'node:zlib'
import { parse } from 'yaml'
import type { Seed } from './hosts.ts'

/** An account in user-data. */
interface WantedAccount {
  readonly name: string
  readonly keys: readonly string[]
  readonly groups: readonly string[]
  /** Rules in the format of sudoers(5), without the user name. */
  readonly sudo: readonly string[]
}

/** The settings in user-data that a lab host applies. */
export interface WantedHost {
  /** The private Ed25519 host key, if set. */
  readonly hostKey: string | undefined
  readonly hostname: string | undefined
  readonly accounts: readonly WantedAccount[]
}

type Config = Readonly<Record<string, unknown>>

/** Decompresses gzip, as cloud-init does. */
const plain = (bytes: Buffer): Buffer =>
  bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes

interface Part {
  readonly header: string
  readonly text: string
}

/** Returns the decoded parts of a MIME message (RFC 2046 5.1), or the text itself. */
function partsOf(text: string): Part[] {
  const [head = '', ...rest] = text.split(/\r?\n\r?\n/)
  const boundary = /^content-type:\s*multipart\/[^;]+;[^\n]*boundary="?([^"\s;]+)/im.exec(
    head.replaceAll(/\r?\n[ \t]+/g, ' '),
  )?.[1]
  if (boundary === undefined) return [{ header: '', text }]
  const parts = rest.join('\n\n').split(`--${boundary}`).slice(1, -1)
  return parts.flatMap((part) => {
    const [header = '', ...body] = part.replace(/^\r?\n/, '').split(/\r?\n\r?\n/)
    const content = body.join('\n\n')
    if (/^content-type:\s*multipart\//im.test(header)) return partsOf(part.trimStart())
    const isEncoded = /^content-transfer-encoding:\s*base64/im.test(header)
    const bytes = isEncoded ? plain(Buffer.from(content, 'base64')) : content.trimStart()
    return [{ header, text: bytes.toString() }]
  })
}

/**
 * Merges a cloud-config into the preceding ones according to its Merge-Type. By default, its keys replace existing
 * keys.
 */
function merge(config: Config, { header, text }: Part): Config {
  const how = /^merge-type:(.*)$/im.exec(header)?.[1] ?? ''
  const merged: Record<string, unknown> = { ...config }
  for (const [key, value] of Object.entries((parse(text) as Config | null) ?? {})) {
    const before = merged[key]
    if (Array.isArray(before) && Array.isArray(value) && how.includes('list(append)'))
      merged[key] = [...(before as unknown[]), ...(value as unknown[])]
    else if (before === undefined || !how.includes('dict(no_replace')) merged[key] = value
  }
  return merged
}

function readConfig(userData: Buffer): Config {
  const parts = partsOf(plain(userData).toString('utf8'))
  return parts.filter(({ text }) => text.startsWith('#cloud-config')).reduce(merge, {} as Config)
}

/** Merges accounts with the same name. */
function joinAccounts(accounts: readonly WantedAccount[]): WantedAccount[] {
  const joined = new Map<string, WantedAccount>()
  for (const { name, keys, groups, sudo } of accounts) {
    const before = joined.get(name)
    joined.set(name, {
      name,
      keys: [...(before?.keys ?? []), ...keys],
      groups: [...new Set([...(before?.groups ?? []), ...groups])],
      sudo: [...(before?.sudo ?? []), ...sudo],
    })
  }
  return [...joined.values()]
}

const words = (value: unknown): string[] => {
  if (typeof value === 'string') return value.split(/\s*,\s*/).filter(Boolean)
  return Array.isArray(value) ? value.map(String) : []
}

const lines = (value: unknown): string[] =>
  typeof value === 'string' ? [value] : Array.isArray(value) ? value.map(String) : []

/** Reads the settings that a lab host applies from user-data, which can be compressed or multipart. */
export function readUserData({ userData, user, publicKey }: Seed): WantedHost {
  const config = readConfig(userData)
  const users = Array.isArray(config['users']) ? (config['users'] as unknown[]) : ['default']
  const topKeys = lines(config['ssh_authorized_keys'])
  const image: WantedAccount = {
    name: user,
    keys: [...(publicKey === undefined ? [] : [publicKey]), ...topKeys],
    groups: ['adm', 'sudo'],
    sudo: ['ALL=(ALL) NOPASSWD:ALL'],
  }
  const accounts = users.map((entry): WantedAccount => {
    if (entry === 'default') return image
    const wanted = (typeof entry === 'string' ? { name: entry } : entry) as Config
    return {
      name: String(wanted['name']),
      keys: lines(wanted['ssh_authorized_keys']),
      groups: words(wanted['groups']),
      sudo: lines(wanted['sudo']),
    }
  })
  const keys = config['ssh_keys'] as Config | undefined
  const hostKey = keys?.['ed25519_private']
  const hostname = config['hostname']
  return {
    hostKey: typeof hostKey === 'string' ? `${hostKey.trim()}\n` : undefined,
    hostname: typeof hostname === 'string' ? hostname : undefined,
    accounts: joinAccounts(accounts),
  }
}
