import { readFile } from 'node:fs/promises'
import { UserError, fileTroubleOf, messageOf } from '../../errors.ts'
import { type MachineName, isMachineName } from '../../machine/name.ts'
import type { HostId } from '../adopt/adopt-known-host.ts'

/** A host that another tool keeps, as far as that tool knows it. */
export interface ImportedHost {
  readonly name: MachineName
  /** Absent where only its provider knows. */
  readonly address?: string | undefined
  readonly user?: string | undefined
  readonly port?: number | undefined
  readonly labels?: Readonly<Record<string, string>>
  /** A private key to log in with. */
  readonly identityFile?: string | undefined
  /** The key was made for this host alone, so that it is to be kept in home. */
  readonly keyIsItsOwn?: boolean
  /** What a provider knows it by, where fleet has a driver for that. */
  readonly known?: HostId
  /** The address is a name that ~/.ssh/config may have something to say of, since the other tool runs ssh. */
  readonly followsSshConfig?: boolean
  /** The hosts to jump through, as `[user@]host[:port]`, the first to connect to first (ssh_config(5), ProxyJump). */
  readonly jumps?: readonly string[]
}

/** A host that is not imported. */
export interface SkippedHost {
  /** What the other tool calls it. */
  readonly title: string
  readonly reason: string
}

/** What another tool keeps. */
export interface ImportedHosts {
  readonly hosts: readonly ImportedHost[]
  readonly skipped: readonly SkippedHost[]
}

/** A host as it was read: by what the other tool calls it, and by longer names of it that tell it from others of that name. */
export interface ReadHost {
  readonly titles: readonly string[]
  readonly host: Omit<ImportedHost, 'name'>
}

/** A name of another tool as that of a machine: `_` and the like become `-`. Undefined where nothing is left. */
export function machineNameFrom(text: string): MachineName | undefined {
  const name = text
    .replaceAll(/[^A-Za-z0-9.-]+/g, '-')
    .slice(0, 63)
    .replace(/^[.-]+/, '')
    .replace(/[.-]+$/, '')
  return isMachineName(name) ? name : undefined
}

/** The name that no other host of `taken` has: one of `names`, else the first with a number. */
function freeName(names: readonly MachineName[], taken: ReadonlySet<string>) {
  const free = names.find((name) => !taken.has(name))
  for (let number = 2, name = free; ; number += 1) {
    if (name !== undefined || names[0] === undefined) return name
    const numbered = machineNameFrom(`${names[0].slice(0, 58)}-${number}`)
    if (numbered !== undefined && !taken.has(numbered)) name = numbered
  }
}

/** Gives each host a machine name of its own: two hosts of one name take their longer names. */
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

/** Reads a file of another tool as JSON. Throws kind `usage` where it is none. */
export async function readJsonFile(file: string): Promise<unknown> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new UserError('usage', `cannot read ${file}: ${fileTroubleOf(error)}`, { cause: error })
  })
  try {
    return JSON.parse(text.replace(/^\uFEFF/, '')) as unknown
  } catch (error) {
    const why = text.trim() === '' ? 'the file is empty' : messageOf(error)
    throw new UserError('usage', `${file} is not JSON: ${why}`, { cause: error })
  }
}

/** What a value of another tool has under a key; undefined where it is no object. */
export function valueAt(value: unknown, ...keys: readonly (string | number)[]): unknown {
  let at = value
  for (const key of keys) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined
    at = (at as Readonly<Record<string, unknown>>)[key]
  }
  return at
}

/** A text that is there and not empty. */
export function textAt(value: unknown, ...keys: readonly (string | number)[]): string | undefined {
  const text = valueAt(value, ...keys)
  return typeof text === 'string' && text !== '' ? text : undefined
}

/** Whether a value of another tool is `true`. */
export const isTrueAt = (value: unknown, key: string): boolean => valueAt(value, key) === true

/** The elements of a value that is a list; none of any other. */
export const listAt = (
  value: unknown,
  ...keys: readonly (string | number)[]
): readonly unknown[] => {
  const list = valueAt(value, ...keys)
  return Array.isArray(list) ? list : []
}

/** A port that is one. */
export function portOf(value: unknown): number | undefined {
  const port = Number(value)
  return Number.isInteger(port) && port > 0 && port < 65_536 && port !== 22 ? port : undefined
}
