import { basename } from 'node:path'
import { type Machine, hasHost } from '../../machine/machine.ts'
import { type DockerContext, openDockerContexts } from '../../state/external/docker-contexts.ts'
import type { Context } from '../context.ts'

/** The result for one docker context. */
export interface SyncedContext {
  readonly name: string
  /**
   * `taken`: the name belongs to a context that fleet did not write, which is not changed. `impossible`: docker does
   * not accept the name of the machine.
   */
  readonly state: 'written' | 'removed' | 'taken' | 'impossible'
  /** The context's endpoint, `unix://PATH`; absent if the state is `impossible`. */
  readonly host?: string
}

/** Whether docker accepts a context name (`restrictedNamePattern` of docker/cli); `default` is reserved. */
const isContextName = (name: string): boolean =>
  /^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$/.test(name) && name !== 'default'

const hasEngine = (machine: Machine): boolean => machine.engine !== 'none' && hasHost(machine)

/**
 * Creates a docker context for every machine, with the machine's name, and removes the contexts of machines that no
 * longer exist. Does not connect to machines, and does not change contexts that fleet did not write.
 */
export async function syncContexts(context: Context): Promise<SyncedContext[]> {
  const { location, contexts, machines, inventory, ours } = await readContexts(context)
  const wanted = [...machines.values()].filter(hasEngine)
  const synced: SyncedContext[] = []
  for (const machine of wanted) {
    const { name } = machine
    const there = contexts.find((one) => one.name === name)
    if (!isContextName(name)) synced.push({ name, state: 'impossible' })
    else if (there && there.inventory !== inventory) {
      synced.push({ name, state: 'taken', host: there.host })
    } else {
      const host = `unix://${await context.keepEngineSocket(machine, 'context')}`
      const description = `fleet: ${name} in ${location}`
      await openDockerContexts(context.env).write({ name, description, host, inventory })
      synced.push({ name, state: 'written', host })
    }
  }
  const names = new Set<string>(wanted.map(({ name }) => name))
  return [
    ...synced,
    ...(await remove(
      context,
      ours.filter(({ name }) => !names.has(name)),
    )),
  ]
}

/** Removes the docker contexts of this inventory's machines. */
export async function removeContexts(context: Context): Promise<SyncedContext[]> {
  return remove(context, (await readContexts(context)).ours)
}

/** Reads the machines and the existing contexts. */
async function readContexts(context: Context) {
  const store = await context.inventory()
  const { id, machines } = await store.read()
  const contexts = await openDockerContexts(context.env).list()
  const ours = contexts.filter(({ inventory }) => inventory === id)
  return { location: store.location, machines, contexts, inventory: id, ours }
}

async function remove(
  context: Context,
  contexts: readonly DockerContext[],
): Promise<SyncedContext[]> {
  const store = openDockerContexts(context.env)
  for (const { name } of contexts) await store.remove(name)
  await context.forgetEngineSockets(contexts.map(({ host }) => basename(host)))
  return contexts.map(({ name, host }) => ({ name, state: 'removed', host }))
}
