import { messageOf } from '../../errors.ts'
import type { Context } from '../context.ts'
import type { ServiceRow } from '../services/list-services.ts'
import type { OpenSwarm } from '../services/open-swarm.ts'
import type { TopEvent } from './updates.ts'
import type { Emit } from './watch-machine.ts'

/** A swarm whose services are read while they are shown, until its signal is aborted. */
export interface WatchedSwarm {
  /** Starts or stops reading the services. `service` is the ID of the service whose tasks are also read. */
  want(isWanted: boolean, service: string | undefined): void
  /** Makes the services be read again soon, because something has changed. */
  changed(): void
}

/** How long to wait for more changes before the services are read again, in milliseconds. */
const settleMs = 250

/**
 * The pauses between readings, in milliseconds. The short one is used while tasks are starting or stopping, since a
 * manager sends no events about this; the long one serves to find changes on machines whose events are not followed.
 */
const [frequentMs, rareMs] = [2000, 10_000]

/**
 * How long readings remain frequent after an event, in milliseconds: managers learn the states of tasks only after a
 * delay.
 */
const frequentForMs = 6000

/** How long one reading may take, in milliseconds. */
const answerMs = 15_000

/** Whether an event may change the services of a swarm: an event about a service, a node or the container of a task. */
export const concernsServices = ({ type, attributes }: TopEvent): boolean =>
  type === 'service' ||
  type === 'node' ||
  (type === 'container' && 'com.docker.swarm.service.id' in attributes)

const isSettled = ({ running, desired, update = '' }: ServiceRow): boolean =>
  running === desired && !/^(?:updating|rollback_started)$/.test(update)

/** Watches the services of a swarm in the inventory, by querying one of its managers. */
export function watchSwarm(context: Context, name: string, emit: Emit): WatchedSwarm {
  const { signal } = context
  let swarm: OpenSwarm | undefined
  let isShown = false
  let tasksOf: string | undefined
  let timer: NodeJS.Timeout | undefined
  let isReading = false
  let isDue = false
  let frequentUntil = 0

  /** Reads the services once. Resolves to the pause before the next reading. */
  async function read(): Promise<number> {
    const service = tasksOf
    const stop = AbortSignal.any([signal, AbortSignal.timeout(answerMs)])
    const scope = context.with({ signal: stop })
    const { openSwarm } = await import('../services/open-swarm.ts')
    const { serviceRows, taskRows } = await import('../services/list-services.ts')
    swarm ??= openSwarm(context, name)
    try {
      const services = await serviceRows(scope, swarm)
      const isThere = services.some(({ id }) => id === service)
      const tasks =
        service !== undefined && isThere
          ? { service, rows: await taskRows(scope, swarm, [service]) }
          : undefined
      emit({ kind: 'services', swarm: name, services, tasks, at: Date.now() })
      return services.every(isSettled) && Date.now() > frequentUntil ? rareMs : frequentMs
    } catch (error) {
      swarm = undefined
      if (!signal.aborted) emit({ kind: 'swarm-lost', swarm: name, reason: messageOf(error) })
      return frequentMs
    }
  }

  function plan(ms: number): void {
    clearTimeout(timer)
    timer = undefined
    if (!isShown || signal.aborted) return
    timer = setTimeout(() => {
      isReading = true
      isDue = false
      void read().then((pauseMs) => {
        isReading = false
        plan(isDue ? settleMs : pauseMs)
      })
    }, ms)
  }

  /** Reads the services after `ms` or, if a reading is in progress, again after it. */
  function readAfter(ms: number): void {
    if (isReading) isDue = true
    else plan(ms)
  }

  signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
  return {
    want(isWanted, service) {
      const isNew = isWanted && (!isShown || (service !== undefined && service !== tasksOf))
      isShown = isWanted
      tasksOf = service
      if (isNew) readAfter(0)
      if (isWanted) return
      clearTimeout(timer)
      isDue = false
    },
    changed() {
      frequentUntil = Date.now() + frequentForMs
      if (isShown && !isDue) {
        readAfter(settleMs)
        isDue = true
      }
    },
  }
}
