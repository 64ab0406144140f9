import { findImage } from '../../engine/images.ts'
import type { SwarmNode } from '../../engine/swarm/nodes.ts'
import { findImageDigest } from '../../engine/swarm/services.ts'
import { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import { ignored } from '../../os/trace.ts'
import type { Context } from '../context.ts'
import { copyImage } from '../copy/copy-image.ts'
import { fanOutInOrder } from '../fan-out/fan-out.ts'
import { findMachine } from '../inventory/choose-machines.ts'
import type { OpenSwarm } from '../services/open-swarm.ts'
import { machinesOfNodes } from '../services/placed-tasks.ts'
import type { DeployCalls } from '../stacks/run-release.ts'
import type { SwarmFile, SwarmService } from './swarm-file.ts'

/** Returns a node's value for the key of a constraint; undefined for unknown keys. */
function valueOf({ ID, Spec, Description }: SwarmNode, key: string): string | undefined {
  if (key === 'node.id') return ID
  if (key === 'node.role') return Spec.Role
  if (key === 'node.hostname') return Description.Hostname
  const [, label] = /^node\.labels\.(.+)$/.exec(key) ?? []
  return label === undefined ? undefined : (Spec.Labels[label] ?? '')
}

/** Whether tasks of a service may run on a node. Constraints that fleet does not understand are ignored. */
export function mayRunOn(node: SwarmNode, { deploy }: Pick<SwarmService, 'deploy'>): boolean {
  if (node.Status.State !== 'ready' || node.Spec.Availability !== 'active') return false
  return (deploy.placement?.constraints ?? []).every((constraint) => {
    const [, key = '', operator, wanted] = /^\s*(\S+?)\s*([!=]=)\s*(.*?)\s*$/.exec(constraint) ?? []
    const value = valueOf(node, key)
    return value === undefined || (value === wanted) === (operator === '==')
  })
}

/** How long a registry may take to answer, in milliseconds. */
const registryMs = 10_000

/** How many hosts are asked, or get an image, at the same time. */
const concurrency = 8

/** An image, and the machines that may run tasks with it. */
interface ImageTargets {
  readonly image: string
  readonly machines: readonly Machine[]
}

/** Returns the images of a file, each with the machines that may run its tasks. */
async function targetsOf(
  context: Context,
  swarm: OpenSwarm,
  file: SwarmFile,
): Promise<readonly ImageTargets[]> {
  const inventory = await (await context.inventory()).read()
  const { nodes, machines } = await swarm.ask(async (manager) => ({
    nodes: manager.nodes,
    machines: await machinesOfNodes(context, manager.nodes),
  }))
  const services = Object.values(file.services)
  return [...new Set(services.map(({ image }) => image))].map((image) => {
    const using = services.filter((service) => service.image === image)
    const running = nodes.filter((node) => using.some((service) => mayRunOn(node, service)))
    const names = running.flatMap(({ ID }) => machines.get(ID) ?? [])
    return { image, machines: names.map((name) => findMachine(inventory, name)) }
  })
}

/** Whether a registry has an image, so that nodes can pull it. */
async function isInRegistry(
  { signal }: Context,
  swarm: OpenSwarm,
  image: string,
): Promise<boolean> {
  const stop = AbortSignal.any([signal, AbortSignal.timeout(registryMs)])
  const digest = await swarm
    .ask(({ engine }) => findImageDigest(engine, image, stop))
    .catch(ignored('engine', `find ${image} in its registry`))
  signal.throwIfAborted()
  return digest !== undefined
}

/** The images that a stack builds, and the function that builds them. */
export interface ImageOptions {
  /** The images that the stack builds. */
  readonly built: ReadonlySet<string>
  /** Makes sure that a machine has the images that the stack builds. */
  readonly build: (machine: Machine) => Promise<void>
}

/**
 * Makes sure that the nodes that may run a service have its image, if no registry has the image. Images that the stack
 * builds are built and copied; other images are copied from a node that has them. Resolves to whether a registry has
 * all images. Throws kind `failed` if an image cannot be copied to a node.
 */
export async function provideImages(
  context: Context,
  swarm: OpenSwarm,
  file: SwarmFile,
  { built, build }: ImageOptions,
  { progress, signal }: DeployCalls,
): Promise<boolean> {
  const targets = await targetsOf(context, swarm, file)
  const limits = { signal, concurrency }
  let isComplete = true
  for (const { image, machines } of targets) {
    if (built.has(image)) {
      isComplete = false
      for (const machine of machines) await build(machine)
      continue
    }
    progress('find images', image)
    if (await isInRegistry(context, swarm, image)) continue
    isComplete = false
    const asked = await fanOutInOrder(
      machines,
      async (machine, stop) => findImage(await context.engine(machine), image, stop),
      limits,
    )
    const owner = asked.find((one) => 'value' in one && one.value !== undefined)?.machine
    const missing = asked.flatMap((one) =>
      'value' in one && one.value === undefined ? [one.machine] : [],
    )
    if (owner === undefined) continue // a node may be logged in to the registry
    const copied = await fanOutInOrder(
      missing,
      (machine, stop) => {
        progress('copy images', `${image} to ${machine.name}`)
        return copyImage(context, { image, from: owner, to: machine, signal: stop }, () => {})
      },
      limits,
    )
    const failure = [...asked, ...copied].find((one) => 'error' in one)
    if (failure === undefined || !('error' in failure)) continue
    const { name } = failure.machine
    throw new UserError('failed', `cannot copy ${image} to ${name}: ${failure.error.message}`, {
      hint: 'push the image to a registry, or drain the node',
    })
  }
  return isComplete
}
