import { realpath } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import type { DriverDefinition } from '../../drivers/driver.ts'
import { UntrustedDriver } from '../../drivers/external/find-package.ts'
import { UserError, codeOf, fileProblemOf, messageOf } from '../../errors.ts'
import { findSwarmProblems } from '../../machine/swarms.ts'
import { checkInventory } from '../../state/inventory/check/check-inventory.ts'
import { findSecretsInFile } from '../../state/inventory/check/check-secrets.ts'
import { runGit } from '../../state/merge/git.ts'
import type { Inventory, InventoryStore } from '../../state/inventory/inventory.ts'
import { decodeInventory, readInventoryFile } from '../../state/inventory/decode-text.ts'
import type { Context } from '../context.ts'
import { readUserData } from '../create/read-user-data.ts'
import { shellQuote } from '../../os/shell-quote.ts'
import { ignored } from '../../os/trace.ts'

/** Options for checking a shared inventory. */
interface Check {
  /** Whether to check the version that is staged in git, instead of the file on disk. */
  readonly staged: boolean
}

/** The result of a successful check. */
interface Checked {
  readonly location: string
  readonly machines: number
  /** Drivers whose options were not checked, because their code is not trusted. */
  readonly unchecked: readonly UntrustedDriver[]
  /** Problems that do not make the check fail. */
  readonly warnings: readonly string[]
}

async function readStaged(location: string, env: Context['env']): Promise<string> {
  const file = await realpath(location).catch(
    ignored('inventory', 'resolve the inventory', location),
  )
  const { code, stdout, stderr } = await showStaged(dirname(file), basename(file), env)
  if (code === 0) return stdout
  const isUnknown = /not in the index|unknown revision|does not exist/.test(stderr)
  const why = isUnknown ? '' : `: ${stderr.trim()}`
  throw new UserError('inventory', `${location} is not staged in git${why}`, {
    hint: `to stage the file: git add ${shellQuote(location)}`,
  })
}

const showStaged = (folder: string, path: string, env: Context['env']) =>
  runGit(folder, ['cat-file', 'blob', `:./${path}`], env)

async function readDisk(store: InventoryStore): Promise<string> {
  const { location } = store
  const bytes = await readInventoryFile(location).catch(async (error: unknown) => {
    if (error instanceof UserError) throw error
    if (codeOf(error) === 'ENOENT') await store.read() // throws an error with a hint about how to create an inventory
    throw new UserError('inventory', `cannot read ${location}: ${fileProblemOf(error)}`, {
      cause: error,
    })
  })
  return decodeInventory(bytes, location)
}

/** The content of a user-data file; undefined if the staged version is checked and the file is not staged in git. */
async function readNamed(
  context: Context,
  location: string,
  { path, staged }: { readonly path: string } & Check,
): Promise<Uint8Array | undefined> {
  if (!staged) return readUserData(location, path)
  const folder = dirname(
    await realpath(location).catch(ignored('inventory', 'resolve the inventory', location)),
  )
  const { code, stdout } = await showStaged(folder, path, context.env)
  return code === 0 ? Buffer.from(stdout) : undefined
}

/** Checks that the user-data files of the inventory exist, are in its directory, and contain no secrets. */
async function checkUserData(
  context: Context,
  { machines, profiles }: Inventory,
  { location, staged }: { readonly location: string } & Check,
): Promise<void> {
  const specs = [...machines.values(), ...profiles.values()]
  const paths = new Set(specs.flatMap(({ userData }) => (userData === undefined ? [] : [userData])))
  const found: string[] = []
  for (const path of paths) {
    const content = await readNamed(context, location, { path, staged })
    if (content !== undefined) found.push(...findSecretsInFile(content, path))
  }
  if (found.length === 0) return
  throw new UserError('inventory', found.join('\n'), {
    hint: 'remove the secrets, and revoke every secret that was ever committed; if a line contains no secret, mark it with the comment gitleaks:allow',
  })
}

/** The options that a driver supports, or the reason why they are unknown. */
interface KnownDriver {
  readonly options?: DriverDefinition['options']
  readonly untrusted?: UntrustedDriver
  readonly problem?: string
}

async function findKnown(context: Context, name: string): Promise<KnownDriver> {
  try {
    return { options: (await context.driver(name)).options }
  } catch (error) {
    return error instanceof UntrustedDriver ? { untrusted: error } : { problem: messageOf(error) }
  }
}

/**
 * Checks the inventory before it is shared: syntax, options, jump hosts, secrets and so on. Throws kind `inventory`,
 * with all problems.
 */
export async function checkShared(context: Context, { staged }: Check): Promise<Checked> {
  const store = await context.inventory()
  const { location } = store
  const text = await (staged ? readStaged(location, context.env) : readDisk(store))
  const known = new Map<string, KnownDriver>()
  const loadOptions = async (names: readonly string[]) => {
    for (const name of names) {
      if (!known.has(name)) known.set(name, await findKnown(context, name))
    }
    return { optionsOf: (name: string) => known.get(name)?.options }
  }
  const inventory = await checkInventory(text, location, loadOptions, async (name) => {
    await loadOptions([name])
    return known.get(name)?.problem
  })
  await checkUserData(context, inventory, { location, staged })
  const unchecked = [...known.values()].flatMap(({ untrusted = [] }) => untrusted)
  const warnings = findSwarmProblems(inventory.swarms, inventory.machines.values())
    .filter(({ isWarning }) => isWarning === true)
    .map(({ message }) => message)
  return { location, machines: inventory.machines.size, unchecked, warnings }
}
