import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '../../errors.ts'
import type { HostRecord, Machine } from '../../machine/machine.ts'
import { ignored } from '../../os/trace.ts'
import type { SshAlias } from '../../transport/ssh/connect.ts'
import type { Context, Stores } from '../context.ts'
import { inventoryKey } from '../trust/inventory-key.ts'
import { homeOf } from '../../os/environment.ts'

type AliasContext = Pick<Context, 'env' | 'inventory' | 'trust'>

/**
 * A value that changes whenever the user's SSH configuration changes (its modification time and size). Included files
 * do not affect it.
 */
async function stampOf({ env }: Pick<Context, 'env'>): Promise<string | undefined> {
  const file = join(homeOf(env), '.ssh', 'config')
  const found = await stat(file).catch(ignored('ssh', 'inspect the SSH configuration'))
  return found && `${found.mtimeMs} ${found.size}`
}

/** Whether the user trusts this inventory to use the host `destination` of their SSH configuration. */
async function isTrusted(context: AliasContext, destination: string): Promise<boolean> {
  const { aliases } = await (await context.trust()).read()
  if (!aliases.some(({ alias }) => alias === destination)) return false
  const inventory = await inventoryKey(context)
  return aliases.some((one) => one.alias === destination && one.inventory === inventory)
}

/**
 * The alias in the user's SSH configuration that a record refers to. Undefined if the user does not trust the inventory
 * to use it: the inventory may come from others, and the configuration can run programs and connect to internal
 * networks.
 */
export async function usableAlias(
  context: AliasContext,
  { sshAlias }: Pick<HostRecord, 'sshAlias'>,
): Promise<SshAlias | undefined> {
  if (sshAlias === undefined || !(await isTrusted(context, sshAlias))) return undefined
  return { destination: sshAlias, stamp: await stampOf(context) }
}

/** Trusts this inventory to use the given hosts in the user's SSH configuration. */
export async function trustAliases(
  context: Pick<Stores, 'inventory' | 'trust'>,
  names: readonly string[],
): Promise<void> {
  if (names.length === 0) return
  const [trust, inventory] = [await context.trust(), await inventoryKey(context)]
  await trust.update((before) => {
    const others = before.aliases.filter(
      (one) => one.inventory !== inventory || !names.includes(one.alias),
    )
    return { ...before, aliases: [...others, ...names.map((alias) => ({ inventory, alias }))] }
  })
}

/**
 * Extends the hint of a connection error if the SSH configuration was not used because the user does not trust the
 * alias.
 */
export async function explainUnusedAlias(
  context: AliasContext,
  { name, host }: Machine,
  error: unknown,
): Promise<unknown> {
  const alias = host?.sshAlias
  if (!(error instanceof UserError) || alias === undefined) return error
  if (error.kind !== 'unreachable' && error.kind !== 'credentials') return error
  if (await isTrusted(context, alias)) return error
  const { kind, message, machine, hint, cause } = error
  const note = `your SSH configuration was not used for this machine; to use the settings for ${alias}: fleet trust alias ${name}`
  return new UserError(kind, message, {
    ...{ machine, cause },
    hint: hint === undefined ? note : `${hint}; note: ${note}`,
  })
}
