import { readFile, realpath, stat } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import { codeOf, UserError } from '../errors.ts'
import { explainDiskError } from './disk-error.ts'
import { editInventory } from './inventory-edit.ts'
import { decodeInventory } from './inventory-text.ts'
import { entryOf, type InventoryStore } from './inventory.ts'
import type { IsHeld } from './lock.ts'
import {
  checkDriverOptions,
  parseInventory,
  type OptionsOf,
  type ParsedInventory,
} from './parse-inventory.ts'
import { replaceFile } from './replace-file.ts'
import { tidyEntry } from './tidy-entry.ts'

/** What the store needs to know of the world around it. */
export interface FileInventoryOptions {
  /** The options of the drivers that are known here. */
  readonly optionsOf: OptionsOf
  /** Makes known to `optionsOf` what it can of drivers that an inventory uses and it does not know. */
  readonly learn?: (drivers: readonly string[]) => Promise<void>
  /** How long to wait for others that write, in milliseconds; 30,000 unless told. */
  readonly lockWait?: number
}

/** How often a write is begun anew because the file changed under it, by an editor for instance. */
const mostAttempts = 10

type Update = Parameters<InventoryStore['update']>

function explain(error: unknown, doing: string, file: string): unknown {
  if (doing === 'read' && codeOf(error) === 'ENOENT') {
    return new UserError('inventory', `there is no inventory ${file}`, {
      hint: 'fleet init',
      cause: error,
    })
  }
  return explainDiskError(error, { kind: 'inventory', doing, file })
}

async function readText(file: string): Promise<string> {
  const bytes = await readFile(file).catch((error: unknown) => {
    throw explain(error, 'read', file)
  })
  return decodeInventory(bytes, file)
}

/** Tells one state of a file from another without reading it. */
async function fingerprint(file: string): Promise<string> {
  const { ino, size, mtimeNs } = await stat(file, { bigint: true })
  return [ino, size, mtimeNs].join()
}

/**
 * Keeps the inventory in the YAML file at `location`, which need not exist until it is read.
 * Writers in other processes are kept out by a lock and readers never see half a file; what a person's
 * editor saves at the same time is noticed, and the change is made anew on it.
 */
export function openFileInventory(
  location: string,
  { optionsOf, learn, lockWait }: FileInventoryOptions,
): InventoryStore {
  let newest: ParsedInventory | undefined

  /** Checks the options of drivers that have to be learnt of first. An inventory without any does not wait. */
  const checkStrangers = async (parsed: ParsedInventory): Promise<void> => {
    const { machines, defaults } = parsed.inventory
    const used = [...[...machines.values()].map(({ driver }) => driver), ...Object.keys(defaults)]
    const strangers = new Set(used.filter((driver) => optionsOf(driver) === undefined))
    if (learn === undefined || strangers.size === 0) return
    await learn([...strangers])
    const optionsOfStranger: OptionsOf = (driver) =>
      strangers.has(driver) ? optionsOf(driver) : undefined
    checkDriverOptions(parsed, location, optionsOfStranger)
  }

  /** Parses what the file says now, unless that is what it said before: one command reads it often. */
  const parse = async (): Promise<ParsedInventory> => {
    const text = await readText(location)
    if (newest?.document.text === text) return newest
    const parsed = parseInventory(text, location, optionsOf)
    await checkStrangers(parsed)
    newest = parsed
    return parsed
  }

  const attempt = async (
    [name, change]: Update,
    target: string,
    isHeld: IsHeld,
  ): Promise<boolean> => {
    const seen = await fingerprint(target)
    const { document, inventory } = await parse()
    const machine = inventory.machines.get(name)
    const before = machine && entryOf(machine)
    const changed = change(before && structuredClone(before), inventory)
    const after =
      changed && tidyEntry({ name, entry: changed, defaults: inventory.defaults }, optionsOf)
    if (isDeepStrictEqual(before, after)) return true
    const text = editInventory(document, name, after, location)
    const stillWanted = async (): Promise<boolean> =>
      (await isHeld()) && (await fingerprint(target)) === seen
    return replaceFile(target, text, { stillWanted })
  }

  const write = async (update: Update): Promise<void> => {
    const target = await realpath(location).catch((error: unknown) => {
      throw explain(error, 'read', location)
    })
    const { withLock } = await import('./lock.ts') // readers do without its package
    for (let attempts = 0; attempts < mostAttempts; attempts++) {
      const done = await withLock(target, (isHeld) => attempt(update, target, isHeld), lockWait)
      if (done) return
    }
    throw new UserError('locked', `${location} keeps changing while fleet writes to it`, {
      hint: 'close whatever else writes to it, and try again',
    })
  }

  let queue: Promise<unknown> = Promise.resolve()
  return {
    location,
    read: async () => (await parse()).inventory,
    update: (...update) => {
      const written = queue.then(() =>
        write(update).catch((error: unknown) => {
          throw explain(error, 'write', location)
        }),
      )
      queue = written.catch(() => undefined)
      return written
    },
  }
}
