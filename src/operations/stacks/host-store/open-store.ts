import { realpath } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Machine } from '../../../machine/machine.ts'
import { type HostMirror, mirrorAt } from '../../compose/host-mirror.ts'
import type { Context } from '../../context.ts'
import { type StackHost, findStackHost, storeFolder } from './store-folder.ts'
import { localFileAt } from '../stack-files.ts'

/** Opens the directory of a stack on the host of a machine, for work that does not need Compose. */
export async function openStore(
  context: Context,
  machine: Machine,
  stack: string,
): Promise<{ readonly host: StackHost; readonly mirror: HostMirror }> {
  const inventory = await context.inventory()
  const { id } = await inventory.read()
  const host = await findStackHost(context, machine)
  const local = await realpath(dirname(inventory.location))
  const folder = storeFolder(host, { inventory: id, stack })
  return { host, mirror: mirrorAt(host, folder, (path) => localFileAt(local, path)) }
}
