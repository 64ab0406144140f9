import { realpath, stat } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import { codeOf, UserError } from '../../errors.ts'
import type { Machine, MachineEntry } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import type { SwarmEntry } from '../../machine/schema.ts'
import { findJumpHostErrors } from './check/check-jump-hosts.ts'
import { explainDiskError } from '../home/disk-error.ts'
import type { InventoryCache } from './cache.ts'
import { decodeInventory, readInventoryFile } from './decode-text.ts'
import {
  checkRename,
  inventoryOf,
  type Inventory,
  type InventoryStore,
  machineWith,
} from './inventory.ts'
import type { IsHeld } from '../../os/lock.ts'
import { shareNextCall } from '../../os/memoize.ts'
import type { LoadOptions } from './parse-inventory.ts'
import { shellQuote } from '../../os/shell-quote.ts'
import { replaceFile } from '../../os/replace-file.ts'
import { ignored, trace } from '../../os/trace.ts'

/** One write of an inventory: its text before and after. */
export interface TextEdit {
  readonly before: string
  readonly after: string
}

/**
 * Runs `work` while no other process writes to the inventory in `file`, which must not be a link.
 * Throws kind `locked` as a write does.
 */
export async function withInventoryLock<Value>(
  file: string,
  work: () => Promise<Value>,
): Promise<Value> {
  const { withLock } = await import('../../os/lock.ts') // not needed for reading
  return withLock(file, work)
}

/** Dependencies and settings of the store. */
export interface FileInventoryOptions {
  readonly loadOptions: LoadOptions
  /** A cache of parsed texts. */
  readonly cache?: InventoryCache
  /** How long to wait for other writers, in milliseconds (default: as for `withLock`). */
  readonly lockTimeout?: number
  /** The directory where the search for the inventory started; absent if the file was specified. */
  readonly searchedFrom?: string | undefined
  /** Called after each write, in the order in which all processes write. */
  readonly onWritten?: (edit: TextEdit) => void
}

/** Maximum number of attempts if other programs, such as an editor, keep changing the file. */
const maxAttempts = 10

type Update = Parameters<InventoryStore['update']>

/** Computes the new text from the newest text; resolves to `undefined` if there is no change. */
type EditText = (read: ReadInventory) => Promise<string | undefined>

/** Creates the error for a missing inventory. `searchedFrom` is the directory where the search started. */
const missingInventory = (file: string, searchedFrom?: string, cause?: unknown): UserError =>
  new UserError(
    'inventory',
    searchedFrom === undefined
      ? `there is no inventory ${file}`
      : `there is no inventory: no machines.yaml in ${searchedFrom} or any parent directory`,
    {
      hint:
        searchedFrom === undefined
          ? `create the inventory with fleet init --inventory ${shellQuote(file)}, or choose another file with --inventory`
          : 'create an inventory in this directory with fleet init; to use an existing one, clone its git repository and run fleet there, or pass --inventory FILE',
      cause,
    },
  )

const explain = (error: unknown, operation: string, file: string): unknown =>
  explainDiskError(error, { kind: 'inventory', operation, file })

async function readBytes(file: string, searchedFrom: string | undefined): Promise<Buffer> {
  return readInventoryFile(file).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') throw missingInventory(file, searchedFrom, error)
    throw explain(error, 'read', file)
  })
}

/** Returns a value that identifies a version of a file, without reading the file. */
async function fingerprint(file: string): Promise<string> {
  const { ino, size, mtimeNs } = await stat(file, { bigint: true })
  return [ino, size, mtimeNs].join()
}

/** An inventory's text, and the parsed inventory. */
interface ReadInventory {
  readonly text: string
  readonly inventory: Inventory
}

/**
 * Returns the inventory after setting one entry. If the entry is removed, returns the inventory unchanged, because no
 * further change follows.
 */
const withMachine = (
  inventory: Inventory,
  name: MachineName,
  entry: MachineEntry | undefined,
  machine: Machine | undefined,
): Inventory =>
  entry === undefined || machine === undefined
    ? inventory
    : {
        ...inventory,
        entries: new Map(inventory.entries).set(name, entry),
        machines: new Map(inventory.machines).set(name, machine),
      }

/**
 * Opens the inventory in the YAML file at `location`, which must exist when it is read. A lock
 * excludes other writers, and readers never see a partly written file. If an editor saves the file
 * at the same time, the change is applied again to the new text.
 */
export function openFileInventory(
  location: string,
  { loadOptions, cache, lockTimeout, onWritten, searchedFrom }: FileInventoryOptions,
): InventoryStore {
  let newest: (ReadInventory & { readonly bytes: Buffer }) | undefined

  const parseText = async (text: string): Promise<Inventory> => {
    const known = await cache?.find(location, text)
    if (known !== undefined) return inventoryOf(known)
    trace('inventory', `parse ${location}`)
    const { readInventoryText } = await import('./read-text.ts')
    const valid = await readInventoryText(text, location, loadOptions)
    await cache?.keep(location, text, valid)
    return inventoryOf(valid)
  }

  /** Parses the file only if it has changed, because one command reads it many times. */
  const readFresh = async (): Promise<ReadInventory> => {
    const bytes = await readBytes(location, searchedFrom)
    if (newest === undefined || !newest.bytes.equals(bytes)) {
      const text = decodeInventory(bytes, location)
      newest = { bytes, text, inventory: await parseText(text) }
    }
    return newest
  }
  const parse = shareNextCall(readFresh)

  const attempt = async (edit: EditText, target: string, isHeld: IsHeld): Promise<boolean> => {
    const version = await fingerprint(target)
    const read = await parse()
    const edited = await edit(read)
    if (edited === undefined || edited === read.text) return true
    const shouldReplace = async (): Promise<boolean> =>
      (await isHeld()) && (await fingerprint(target)) === version
    const isWritten = await replaceFile(target, edited, { shouldReplace })
    if (isWritten) onWritten?.({ before: read.text, after: edited })
    return isWritten
  }

  const editEntry = async (
    read: ReadInventory,
    ...[name, change]: Update
  ): Promise<ReadInventory> => {
    const { text, inventory } = read
    const { checkMachine, normalizeEntry } = await import('../yaml/normalize-entry.ts')
    const before = inventory.entries.get(name)
    const changed = change(before && structuredClone(before), inventory)
    const after = changed && normalizeEntry(name, changed)
    const machine = after && machineWith(inventory, name, after)
    if (machine !== undefined) {
      const { optionsOf } = await loadOptions([machine.driver])
      checkMachine(machine, inventory, optionsOf)
    }
    if (isDeepStrictEqual(before, after)) return read
    const was = before && inventory.machines.get(name)
    const jumpHostErrors = findJumpHostErrors(inventory, { name, before: was, after: machine })
    if (jumpHostErrors.length > 0) {
      const { jumpHostError } = await import('./check/jump-host-error.ts')
      throw jumpHostError(read, location, jumpHostErrors)
    }
    const { editInventoryText } = await import('../yaml/edit-excerpt.ts')
    const edited = editInventoryText(text, name, after, location)
    return { text: edited, inventory: withMachine(inventory, name, after, machine) }
  }

  const editEntries =
    (updates: readonly Update[]): EditText =>
    async (read) => {
      let newest = read
      for (const update of updates) newest = await editEntry(newest, ...update)
      return newest.text
    }

  const editOperator =
    (...[name, change]: Parameters<InventoryStore['updateOperator']>): EditText =>
    async ({ text, inventory }) => {
      const before = inventory.operators.get(name)
      const changed = change(before, inventory)
      if (isDeepStrictEqual(before, changed)) return undefined
      const { editShared, validateShared } = await import('./edit-shared-entries.ts')
      const after = changed && validateShared('operators', name, changed)
      return editShared(text, ['operators', name, after], location)
    }

  const editProfile =
    (...[name, change]: Parameters<InventoryStore['updateProfile']>): EditText =>
    async ({ text, inventory }) => {
      const before = inventory.profiles.get(name)
      const changed = change(before && structuredClone(before), inventory)
      if (isDeepStrictEqual(before, changed)) return undefined
      const { editShared, validateShared } = await import('./edit-shared-entries.ts')
      const after = changed && validateShared('profiles', name, changed)
      const edited = editShared(text, ['profiles', name, after], location)
      await parseText(edited) // checks that all machines are valid with the changed profile
      return edited
    }

  const editSwarm =
    (...[name, change]: Parameters<InventoryStore['updateSwarm']>): EditText =>
    async ({ text, inventory }) => {
      const { name: _name, ...before } = inventory.swarms.get(name) ?? { name }
      const known = inventory.swarms.has(name) ? (before as SwarmEntry) : undefined
      const changed = change(known && structuredClone(known), inventory)
      if (isDeepStrictEqual(known, changed)) return undefined
      const { editShared, validateShared } = await import('./edit-shared-entries.ts')
      const after = changed && validateShared('swarms', name, changed)
      return editShared(text, ['swarms', name, after], location)
    }

  const editName =
    (from: MachineName, to: MachineName): EditText =>
    async ({ text, inventory }) => {
      checkRename(inventory, from, to)
      const { renameInText } = await import('./rename-in-text.ts')
      const { editInventoryText } = await import('../yaml/edit-excerpt.ts')
      const { editShared } = await import('./edit-shared-entries.ts')
      const renamed = [...inventory.entries]
        .filter(([, { via }]) => via === from)
        .map(([name, entry]) => [name === from ? to : name, { ...entry, via: to }] as const)
        .reduce(
          (edited, [name, entry]) => editInventoryText(edited, name, entry, location),
          renameInText(text, from, to, location),
        )
      return [...inventory.profiles]
        .filter(([, { via }]) => via === from)
        .reduce(
          (edited, [name, profile]) =>
            editShared(edited, ['profiles', name, { ...profile, via: to }], location),
          renamed,
        )
    }

  const write = async (edit: EditText): Promise<void> => {
    const target = await realpath(location).catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') throw missingInventory(location, searchedFrom, error)
      throw explain(error, 'read', location)
    })
    const { withLock } = await import('../../os/lock.ts') // not needed for reading
    for (let attempts = 0; attempts < maxAttempts; attempts++) {
      const done = await withLock(target, (isHeld) => attempt(edit, target, isHeld), lockTimeout)
      if (done) return
    }
    throw new UserError('locked', `${location} keeps changing while fleet writes to it`, {
      hint: 'close other programs that write to this file, then try again',
    })
  }

  let queue: Promise<unknown> = Promise.resolve()
  const enqueue = (edit: EditText): Promise<void> => {
    const written = queue.then(() =>
      write(edit).catch((error: unknown) => {
        throw explain(error, 'write', location)
      }),
    )
    queue = written.catch(ignored('inventory', 'write the inventory'))
    return written
  }
  return {
    location,
    read: async () => (await parse()).inventory,
    update: (...update) => enqueue(editEntries([update])),
    updateAll: (names, change) =>
      enqueue(editEntries(names.map((name) => [name, (_, newest) => change(name, newest)]))),
    updateOperator: (...update) => enqueue(editOperator(...update)),
    updateProfile: (...update) => enqueue(editProfile(...update)),
    updateSwarm: (...update) => enqueue(editSwarm(...update)),
    rename: (from, to) => enqueue(editName(from, to)),
  }
}
