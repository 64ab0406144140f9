import type { Machine } from '../../../machine/machine.ts'
import type { Context } from '../../context.ts'
import { openStore } from '../host-store/open-store.ts'
import type { DeployTarget } from '../run-release.ts'
import type { StackCompose } from './stack-compose.ts'

/**
 * Opens the directory of a stack on a machine's host, the machine's engine, and Compose for both. `stack` is the name
 * of the stack.
 */
export async function openTarget(
  context: Context,
  compose: StackCompose,
  machine: Machine,
  stack: string,
): Promise<DeployTarget> {
  const [{ host, mirror }, engine] = await Promise.all([
    openStore(context, machine, stack),
    context.engine(machine),
  ])
  const { folder } = mirror
  return {
    ...{ machine: machine.name, engine, mirror },
    compose: await compose.on(machine, { host, folder }),
  }
}
