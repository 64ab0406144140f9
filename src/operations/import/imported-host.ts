import { readFile } from 'node:fs/promises'
import { UserError, fileProblemOf, messageOf } from '../../errors.ts'
import { type MachineName, isMachineName } from '../../machine/name.ts'
import type { HostId } from '../adopt/adopt-known-host.ts'

/** A host as another tool describes it. */
export interface ImportedHost {
  readonly name: MachineName
  /** The address; absent if only the provider knows it. */
  readonly address?: string | undefined
  readonly user?: string | undefined
  readonly port?: number | undefined
  readonly labels?: Readonly<Record<string, string>>
  /** A private key to log in with. */
  readonly identityFile?: string | undefined
  /** Whether the key is used only for this host; if so, it is copied to fleet's home directory. */
  readonly keyIsItsOwn?: boolean
  /** The host's ID at a provider for which fleet has a driver. */
  readonly known?: HostId
  /** Whether the address may be an alias in ~/.ssh/config, because the other tool runs ssh. */
  readonly followsSshConfig?: boolean
  /** Jump hosts, as `[user@]host[:port]`, in the order of connection (ssh_config(5), ProxyJump). */
  readonly jumps?: readonly string[]
}

/** A host that is not imported. */
export interface SkippedHost {
  /** The name of the host in the other tool. */
  readonly title: string
  readonly reason: string
}

/** The result of reading the hosts of another tool. */
export interface ImportedHosts {
  readonly hosts: readonly ImportedHost[]
  readonly skipped: readonly SkippedHost[]
  /** Notes about settings of hosts that are not imported; `title` is the name of the host in the other tool. */
  readonly notes?: readonly { readonly title: string; readonly note: string }[]
}

/**
 * A host to import. `titles` has its name in the other tool, followed by longer, unique names to use if several hosts
 * have the same name.
 */
export interface ReadHost {
  readonly titles: readonly string[]
  readonly host: Omit<ImportedHost, 'name'>
}

/**
 * Converts a name from another tool to a machine name: other characters, such as `_`, become `-`. Undefined if nothing
 * is left.
 */
export function machineNameFrom(text: string): MachineName | undefined {
  const name = text
    .replaceAll(/[^A-Za-z0-9.-]+/g, '-')
    .slice(0, 63)
    .replace(/^[.-]+/, '')
    .replace(/[.-]+$/, '')
  return isMachineName(name) ? name : undefined
}

/** Returns a name that is not in `taken`: one of `names`, or else the first of them with a number appended. */
function freeName(names: readonly MachineName[], taken: ReadonlySet<string>) {
  const free = names.find((name) => !taken.has(name))
  for (let number = 2, name = free; ; number += 1) {
    if (name !== undefined || names[0] === undefined) return name
    const numbered = machineNameFrom(`${names[0].slice(0, 58)}-${number}`)
    if (numbered !== undefined && !taken.has(numbered)) name = numbered
  }
}

/** Assigns each host a unique machine name. Hosts that would have the same name get their longer names. */
export function nameHosts(read: readonly (ReadHost | SkippedHost)[]): ImportedHosts {
  const found = read.filter((one) => 'host' in one)
  const skipped = read.filter((one) => 'reason' in one)
  const firstNames = found.map(({ titles: [title = ''] }) => machineNameFrom(title))
  const isShared = (name: MachineName): boolean =>
    firstNames.indexOf(name) !== firstNames.lastIndexOf(name)
  const taken = new Set<string>(
    firstNames.filter((name) => name !== undefined).filter((name) => !isShared(name)),
  )
  const hosts: ImportedHost[] = []
  for (const [index, { titles, host }] of found.entries()) {
    const first = firstNames[index]
    const names = titles.map(machineNameFrom).filter((name) => name !== undefined)
    const wanted = first !== undefined && isShared(first) ? [...names.slice(1), first] : names
    const name = first !== undefined && !isShared(first) ? first : freeName(wanted, taken)
    if (name === undefined) {
      skipped.push({ title: titles[0] ?? '', reason: 'its name is not a valid machine name' })
      continue
    }
    taken.add(name)
    hosts.push({ name, ...host })
  }
  return { hosts, skipped }
}

/** Reads a JSON file. Throws kind `usage` if it does not contain valid JSON. */
export async function readJsonFile(file: string): Promise<unknown> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new UserError('usage', `cannot read ${file}: ${fileProblemOf(error)}`, { cause: error })
  })
  try {
    return JSON.parse(text.replace(/^\uFEFF/, '')) as unknown
  } catch (error) {
    const why = text.trim() === '' ? 'the file is empty' : messageOf(error)
    throw new UserError('usage', `${file} is not valid JSON: ${why}`, { cause: error })
  }
}

/** The value at a path of keys; undefined if there is none. */
export function valueAt(value: unknown, ...keys: readonly (string | number)[]): unknown {
  let at = value
  for (const key of keys) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined
    at = (at as Readonly<Record<string, unknown>>)[key]
  }
  return at
}

/** The string at a path of keys; undefined if it is empty or not a string. */
export function textAt(value: unknown, ...keys: readonly (string | number)[]): string | undefined {
  const text = valueAt(value, ...keys)
  return typeof text === 'string' && text !== '' ? text : undefined
}

/** Whether the value of a key is `true`. */
export const isTrueAt = (value: unknown, key: string): boolean => valueAt(value, key) === true

/** The elements of the list at a path of keys; empty if it is not a list. */
export const listAt = (
  value: unknown,
  ...keys: readonly (string | number)[]
): readonly unknown[] => {
  const list = valueAt(value, ...keys)
  return Array.isArray(list) ? list : []
}

/** Converts a value to a valid port other than 22; undefined for any other value. */
export function portOf(value: unknown): number | undefined {
  const port = Number(value)
  return Number.isInteger(port) && port > 0 && port < 65_536 && port !== 22 ? port : undefined
}
