import { fullNameOf } from '../../docker/image-reference.ts'
import type { Service } from '../../engine/swarm/services.ts'
import { modeOf } from '../services/list-services.ts'
import type { ServiceChange } from '../stacks/compare-services.ts'
import { type SwarmFile, type SwarmService, digestLabel } from './swarm-file.ts'

/** The differences between a stack's file and its services on a swarm. */
interface SwarmDrift {
  /** The changes that a deployment makes, in the order of the services, with removals last. */
  readonly changes: readonly ServiceChange[]
  /** Services that need no change but have tasks that are not running. */
  readonly waiting: readonly { readonly service: string; readonly why: string }[]
}

/**
 * Returns an image's full name and tag, without its digest. A missing tag is added, because Docker adds it to services.
 */
function imageName(image: string): string {
  const name = fullNameOf(image.replace(/@sha256:.*$/, ''))
  return /:[^/]*$/.test(name) ? name : `${name}:latest`
}

const isSame = (one: readonly string[], other: readonly string[]): boolean =>
  JSON.stringify(one.toSorted()) === JSON.stringify(other.toSorted())

/** Returns the variables of a service in the engine's format. In the file, `$` is written as `$$`. */
const variablesOf = ({ environment = {} }: SwarmService): readonly string[] =>
  Object.entries(environment).map(([name, value]) => `${name}=${value.replaceAll('$$', '$')}`)

/** Returns the reason a service is updated; undefined if it needs no update, or only a different number of tasks. */
function reasonToUpdate(wanted: SwarmService, { Spec, UpdateStatus }: Service): string | undefined {
  if (Spec.Labels?.[digestLabel] === undefined) return 'fleet has not deployed this service'
  if (Spec.Labels[digestLabel] !== wanted.deploy.labels[digestLabel]) {
    return UpdateStatus?.State === 'rollback_completed'
      ? 'the last update was rolled back'
      : 'the definition, or a config or secret that the service uses, has changed'
  }
  const { Image = '', Env = [] } = Spec.TaskTemplate.ContainerSpec ?? {}
  if (imageName(Image) !== imageName(wanted.image)) return 'the image was changed by hand'
  if (!isSame(Env, variablesOf(wanted))) return 'the environment was changed by hand'
  if (UpdateStatus?.State === 'paused') return 'the last update is paused'
  return undefined
}

/** Compares the file of a stack with the services that a manager lists. */
export function compareSwarmServices(
  stack: string,
  { services: wanted }: SwarmFile,
  services: readonly Service[],
): SwarmDrift {
  const changes: ServiceChange[] = []
  const waiting: { service: string; why: string }[] = []
  const found = new Map(services.map((service) => [service.Spec.Name, service]))
  for (const [service, definition] of Object.entries(wanted)) {
    const existing = found.get(`${stack}_${service}`)
    found.delete(`${stack}_${service}`)
    if (existing === undefined) {
      changes.push({ service, action: 'create', why: 'the service does not exist in the swarm' })
      continue
    }
    const why = reasonToUpdate(definition, existing)
    if (why !== undefined) {
      changes.push({ service, action: 'recreate', why })
      continue
    }
    const replicas = existing.Spec.Mode?.Replicated?.Replicas
    const { replicas: expected } = definition.deploy
    if (replicas !== undefined && expected !== undefined && replicas !== expected) {
      changes.push({
        service,
        action: 'scale',
        why: `replicas ${replicas} -> ${expected}`,
      })
      continue
    }
    const { RunningTasks = 0, DesiredTasks = 0 } = existing.ServiceStatus ?? {}
    if (RunningTasks < DesiredTasks && !modeOf(existing.Spec).endsWith('job')) {
      waiting.push({ service, why: `${RunningTasks} of ${DesiredTasks} tasks are running` })
    }
  }
  for (const name of found.keys()) {
    const service = name.startsWith(`${stack}_`) ? name.slice(stack.length + 1) : name
    changes.push({ service, action: 'remove', why: 'the stack does not define this service' })
  }
  return { changes, waiting }
}
