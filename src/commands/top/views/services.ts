import type { ServiceRow } from '../../../operations/services/list-services.ts'
import type { Tone } from '../../../ui/screen/palette.ts'
import { shortImage } from '../../service/ls.ts'
import type { SwarmModel } from '../model/model.ts'
import { defineView } from './view.ts'

/** A service and its swarm. */
export interface ServiceItem {
  readonly swarm: SwarmModel
  readonly service: ServiceRow
}

/** The states of an update that are shown instead of the state of the tasks, and their names. */
const updateStates: Readonly<Record<string, string>> = {
  updating: 'updating',
  paused: 'paused',
  rollback_started: 'rolling-back',
  rollback_paused: 'paused',
}

/**
 * Returns `running`, `degraded`, `stopped` (no tasks are desired), `complete` (jobs), or the state of an unfinished
 * update.
 */
export function stateOfService({ mode, running, desired, update = '' }: ServiceRow): string {
  const updating = updateStates[update]
  if (updating !== undefined) return updating
  if (running < desired) return 'degraded'
  if (mode.endsWith('job')) return 'complete'
  return desired === 0 ? 'stopped' : 'running'
}

export function toneOfService(service: ServiceRow): Tone {
  const state = stateOfService(service)
  if (state === 'degraded' || state === 'paused') return 'bad'
  if (state === 'updating' || state === 'rolling-back') return 'warn'
  return state === 'stopped' ? 'dim' : 'good'
}

export const servicesView = defineView<ServiceItem>({
  name: 'services',
  groupings: ['none', 'swarm', 'stack'],
  items: ({ swarms }) =>
    [...swarms.values()].flatMap((swarm) =>
      (swarm.services ?? []).map((service) => ({ swarm, service })),
    ),
  id: ({ swarm, service }) => `${swarm.name} ${service.id}`,
  machine: () => undefined,
  stack: ({ service }) => service.stack ?? '',
  swarm: ({ swarm }) => swarm.name,
  isStale: ({ swarm }) => swarm.reason !== undefined,
  state: ({ service }) => stateOfService(service),
  text: ({ swarm, service }) =>
    [service.service, service.id.slice(0, 12), swarm.name, service.image, service.mode]
      .concat(service.stack ?? '', service.ports)
      .join(' '),
  target: ({ swarm, service }) => ({
    kind: 'service',
    machine: swarm.name,
    id: service.id,
    // The name is used as an operand, and a manager could report a service whose name looks like an option.
    name: /^\w/.test(service.service) ? service.service : service.id,
  }),
  columns: [
    {
      title: 'SERVICE',
      width: 14,
      grow: 3,
      value: ({ service }) => service.service,
      cell: ({ service }) => ({ text: service.service, tone: 'strong' }),
    },
    {
      title: 'SWARM',
      width: 8,
      grow: 1,
      value: ({ swarm }) => swarm.name,
      cell: ({ swarm }) => ({ text: swarm.name }),
    },
    {
      title: 'STATE',
      width: 12,
      value: ({ service }) => stateOfService(service),
      cell: ({ service }) => ({ text: stateOfService(service), tone: toneOfService(service) }),
    },
    {
      title: 'TASKS',
      width: 7,
      right: true,
      value: ({ service }) => service.running,
      cell: ({ service }) => ({ text: `${service.running}/${service.desired}` }),
    },
    {
      title: 'MODE',
      width: 10,
      drop: 4,
      value: ({ service }) => service.mode,
      cell: ({ service }) => ({ text: service.mode }),
    },
    {
      title: 'UPDATE',
      width: 18,
      drop: 3,
      value: ({ service }) => service.update ?? '',
      cell: ({ service: { update = '' } }) => ({ text: update.replace('_', ' ') }),
    },
    {
      title: 'PORTS',
      width: 14,
      grow: 1,
      drop: 2,
      value: ({ service }) => service.ports.join(' '),
      cell: ({ service }) => ({ text: service.ports.join(' ') }),
    },
    {
      title: 'STACK',
      width: 10,
      drop: 5,
      value: ({ service }) => service.stack ?? '',
      cell: ({ service }) => ({ text: service.stack ?? '', tone: 'accent' }),
    },
    {
      title: 'IMAGE',
      width: 12,
      grow: 2,
      drop: 1,
      value: ({ service }) => service.image,
      cell: ({ service }) => ({ text: shortImage(service.image), tone: 'dim' }),
    },
  ],
})
