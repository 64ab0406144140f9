import { realpath } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Machine } from '../../../machine/machine.ts'
import { mirrorAt } from '../../compose/host-mirror.ts'
import type { Context } from '../../context.ts'
import type { DeployTarget } from '../run-release.ts'
import { localFileAt } from '../stack-files.ts'
import type { StackCompose } from './stack-compose.ts'
import { findStackHost, storeFolder } from '../host-store/store-folder.ts'

/** Opens the folder, the engine and compose of a stack on a machine. `stack` is its name. */
export async function openTarget(
  context: Context,
  compose: StackCompose,
  machine: Machine,
  stack: string,
): Promise<DeployTarget> {
  const inventory = await context.inventory()
  const { id } = await inventory.read()
  const [host, engine, local] = await Promise.all([
    findStackHost(context, machine),
    context.engine(machine),
    realpath(dirname(inventory.location)),
  ])
  const folder = storeFolder(host, { inventory: id, stack })
  return {
    ...{ machine: machine.name, engine },
    mirror: mirrorAt(host, folder, (path) => localFileAt(local, path)),
    compose: await compose.on(machine, { host, folder }),
  }
}
