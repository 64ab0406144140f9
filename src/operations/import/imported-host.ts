import { readFile } from 'node:fs/promises'
import { UserError, fileTroubleOf } from '../../errors.ts'
import { type MachineName, isMachineName } from '../../machine/name.ts'
import type { HostId } from '../adopt-known-host.ts'

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
}

/** What another tool keeps. */
export interface ImportedHosts {
  readonly hosts: readonly ImportedHost[]
  /** What was left out, and why, a line each. */
  readonly skipped: readonly string[]
}

/** A name of another tool as that of a machine: `_` and the like become `-`. Undefined where nothing is left. */
export function machineNameFrom(text: string): MachineName | undefined {
  const name = text
    .replaceAll(/[^A-Za-z0-9.-]+/g, '-')
    .replaceAll(/^[.-]+|[.-]+$/g, '')
    .slice(0, 63)
  return isMachineName(name) ? name : undefined
}

/** Reads a file of another tool as JSON. Throws kind `usage` where it is none. */
export async function readJsonFile(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as unknown
  } catch (error) {
    throw new UserError('usage', `cannot read ${file}: ${fileTroubleOf(error)}`, { cause: error })
  }
}

/** What a value of another tool has under a key; undefined where it is no object. */
export function valueAt(value: unknown, ...keys: readonly (string | number)[]): unknown {
  let at = value
  for (const key of keys) {
    if (typeof at !== 'object' || at === null) return undefined
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

/** A port that is one. */
export function portOf(value: unknown): number | undefined {
  const port = Number(value)
  return Number.isInteger(port) && port > 0 && port < 65_536 && port !== 22 ? port : undefined
}
