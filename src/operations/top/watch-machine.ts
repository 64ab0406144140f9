import { setTimeout as sleep } from 'node:timers/promises'
import { type ContainerSummary, containerName, listContainers } from '../../engine/containers.ts'
import type { Engine } from '../../engine/engine.ts'
import { type ImageSummary, listImages } from '../../engine/images.ts'
import {
  type EngineEvent,
  type EventOptions,
  type SystemInfo,
  readInfo,
  readVersion,
  streamEvents,
} from '../../engine/system.ts'
import { UserError, messageOf } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import { ignored } from '../../os/trace.ts'
import type { Context } from '../context.ts'
import { hashLabel } from '../stacks/idle-container.ts'
import { projectLabel } from '../stacks/stack-model.ts'
import { isUnfinishedMark } from '../stacks/unfinished-mark.ts'
import { readingSeconds, watchHostFigures } from './host-figures.ts'
import type { TopContainer, TopEvent, TopImage, Update } from './updates.ts'

/** Receives updates of machines and swarms. */
export type Emit = (update: Update) => void

/** A machine that is watched until its signal is aborted. */
export interface WatchedMachine {
  readonly machine: Machine
  /** Returns the engine, or undefined while the machine does not answer. */
  readonly engine: () => Engine | undefined
  /** If `isWanted`, lists the images now, and again after each change, until called with false. */
  wantImages(isWanted: boolean): void
  /** Connects immediately if the machine is not connected. */
  retry(): void
  readonly ended: Promise<void>
}

/** How long a machine may take to connect, and how long it may be silent afterwards, in milliseconds. */
const connectMs = 15_000
const silenceMs = 10_000

/** The pauses before attempts to reconnect, in milliseconds: the first one and the longest one. */
const [firstPauseMs, longestPauseMs] = [1000, 5000]

/** How long to wait for more changes before the containers are listed again, in milliseconds. */
const settleMs = 250

/**
 * Whether an event comes from an `exec`, such as the one that each health check runs. Such an event changes nothing
 * that is shown.
 */
const isNoise = ({ Action }: EngineEvent): boolean => Action.startsWith('exec_')

const healthOf = (status: string): TopContainer['health'] => {
  const [, word] = /\((?:health: )?(healthy|unhealthy|starting)\)/.exec(status) ?? []
  return (word ?? '') as TopContainer['health']
}

/** Picks the parts of a container that are shown. */
const topContainer = (container: ContainerSummary): TopContainer => ({
  id: container.Id,
  name: containerName(container),
  image: container.Image,
  imageId: container.ImageID,
  state: container.State,
  status: container.Status,
  health: healthOf(container.Status),
  stack: container.Labels[projectLabel] ?? '',
  service: container.Labels['com.docker.compose.service'] ?? '',
  hash: container.Labels[hashLabel] ?? '',
  isUnfinishedMark: isUnfinishedMark(container),
})

const topImage = ({ Id, RepoTags, Size, SharedSize, Created }: ImageSummary): TopImage => ({
  id: Id,
  names: (RepoTags ?? []).filter((name) => !name.includes('<none>')),
  size: Size,
  shared: SharedSize === undefined || SharedSize < 0 ? undefined : SharedSize,
  created: Created,
})

/** The time according to an engine's clock, in Unix seconds, for requesting the events since then. */
function unixTimeOf({ SystemTime = '' }: SystemInfo): string | undefined {
  const milliseconds = Date.parse(SystemTime)
  return Number.isNaN(milliseconds) ? undefined : (milliseconds / 1000).toFixed(3)
}

let events = 0

const topEvent = (machine: string, { Type, Action, Actor, time }: EngineEvent): TopEvent => ({
  ...{ id: (events += 1), machine, time, type: Type, action: Action },
  name: Actor.Attributes['name'] ?? Actor.ID.replace(/^sha256:/, '').slice(0, 12),
  attributes: Actor.Attributes,
})

/**
 * Creates a function that runs `work` shortly after each call, but never twice at the same time: otherwise, a late
 * answer to the first run could replace the answer to the second one.
 */
export function settled(work: () => Promise<void>, signal: AbortSignal): () => void {
  let timer: NodeJS.Timeout | undefined
  let isWorking = false
  let isStale = false
  signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
  const run = async (): Promise<void> => {
    timer = undefined
    isWorking = true
    await work().catch(ignored('engine', 'refresh the resource lists'))
    isWorking = false
    if (!isStale) return
    isStale = false
    call()
  }
  const call = (): void => {
    if (signal.aborted) return
    if (isWorking) isStale = true
    else timer ??= setTimeout(() => void run(), settleMs)
  }
  return call
}

/** Creates a promise, `tooLong`, that rejects when a machine has sent nothing for too long. */
function watchSilence(): { restart: () => void; tooLong: Promise<never> } & Disposable {
  let timer: NodeJS.Timeout | undefined
  const tooLong = new Promise<never>((_, reject) => {
    const silent = new UserError('unreachable', `no answer for ${silenceMs / 1000} s`)
    timer = setTimeout(() => reject(silent), silenceMs)
  })
  tooLong.catch(() => {})
  return {
    restart: () => timer?.refresh(),
    tooLong,
    [Symbol.dispose]: () => clearTimeout(timer),
  }
}

const nothing = (): void => {}

/**
 * Watches a machine: connects, lists its containers, and follows its events and figures. Starts over when the
 * connection is lost.
 */
export function watchMachine(
  context: Context,
  machine: Machine,
  emit: Emit,
  start: <Result>(work: () => Promise<Result>) => Promise<Result>,
): WatchedMachine {
  const { name } = machine
  const { signal } = context
  let engine: Engine | undefined
  let wantsImages = false
  let listImagesSoon = nothing
  let wake = nothing

  /** Queries the engine regularly, to check that the host is still alive if its figures cannot be read. */
  async function ping(open: Engine, stop: AbortSignal, onAnswer: () => void): Promise<void> {
    for (;;) {
      await readVersion(open, stop)
      onAnswer()
      emit({ kind: 'answered', machine: name, at: Date.now() })
      await sleep(readingSeconds * 1000, undefined, { signal: stop })
    }
  }

  async function followFigures(
    connection: Context,
    open: Engine | undefined,
    stop: AbortSignal,
    onAnswer: () => void,
  ): Promise<void> {
    try {
      const transport = await connection.connect(machine)
      for await (const figures of watchHostFigures(transport, stop)) {
        onAnswer()
        emit({ kind: 'figures', machine: name, figures, at: Date.now() })
      }
    } catch (error) {
      const isLost = error instanceof UserError && error.kind === 'unreachable'
      if (stop.aborted || isLost || open === undefined) throw error
    }
    if (open === undefined) {
      throw new UserError('failed', 'cannot read resource usage: the host has no /proc', {
        machine: name,
      })
    }
    await ping(open, stop, onAnswer)
  }

  async function followEvents(
    open: Engine,
    options: EventOptions & { readonly signal: AbortSignal },
    changed: (event: EngineEvent) => void,
  ): Promise<void> {
    for await (const event of streamEvents(open, options)) {
      if (isNoise(event)) continue
      emit({ kind: 'event', event: topEvent(name, event) })
      changed(event)
    }
    throw new UserError('failed', 'the engine has stopped', { machine: name })
  }

  /** Follows a machine over one connection until the connection is lost, and then throws the reason. */
  async function follow(connection: Context, opened: () => void): Promise<void> {
    const stop = connection.signal
    using silence = watchSilence()
    if (machine.engine === 'none') {
      emit({ kind: 'connected', machine: name, engine: '', processors: 0, at: Date.now() })
      opened()
      await Promise.race([
        followFigures(connection, undefined, stop, silence.restart),
        silence.tooLong,
      ])
      return
    }
    const open = await start(async () => {
      await connection.connect(machine)
      opened()
      return connection.engine(machine)
    })
    const list = async (): Promise<void> => {
      const containers = await listContainers(open, { all: true, signal: stop })
      silence.restart()
      emit({
        ...{ kind: 'containers', machine: name, at: Date.now() },
        containers: containers.map(topContainer),
      })
    }
    const images = async (): Promise<void> => {
      if (!wantsImages) return
      const found = await listImages(open, { 'shared-size': true, signal: stop })
      emit({ kind: 'images', machine: name, images: found.map(topImage), at: Date.now() })
    }
    const listSoon = settled(list, stop)
    listImagesSoon = settled(images, stop)
    const changed = ({ Type }: EngineEvent): void => {
      if (Type === 'container') listSoon()
      if (Type === 'image') listImagesSoon()
    }
    const info = await readInfo(open, stop)
    emit({
      ...{ kind: 'connected', machine: name, engine: info.ServerVersion },
      ...{ processors: info.NCPU, at: Date.now() },
    })
    engine = open
    const following = [followFigures(connection, open, stop, silence.restart), silence.tooLong]
    for (const one of following) one.catch(() => {})
    await Promise.race([list(), ...following])
    listImagesSoon()
    // Request the events from before the list was made, so that no change after the list is missed.
    const since = unixTimeOf(info)
    const events = followEvents(open, { signal: stop, ...(since && { since }) }, changed)
    await Promise.race([events, ...following])
  }

  async function attempt(): Promise<void> {
    const ending = new AbortController()
    const stop = AbortSignal.any([signal, ending.signal])
    const timer = setTimeout(
      () => ending.abort(new UserError('unreachable', `no answer within ${connectMs / 1000} s`)),
      connectMs,
    )
    let isReached = false
    const aborted = new Promise<never>((_, reject) => {
      stop.addEventListener('abort', () => reject(stop.reason as Error), { once: true })
    })
    const work = follow(context.with({ signal: stop }), () => {
      isReached = true
      clearTimeout(timer)
    })
    work.catch(() => {})
    try {
      await Promise.race([work, aborted])
    } catch (error) {
      if (signal.aborted) return
      const isSilent = error instanceof UserError && error.kind === 'unreachable'
      const isHost = !isReached || isSilent
      emit({ kind: 'lost', machine: name, reason: messageOf(error), isHost })
    } finally {
      clearTimeout(timer)
      engine = undefined
      ending.abort(new UserError('unreachable', 'the connection was lost'))
    }
  }

  async function watch(): Promise<void> {
    let pauseMs = firstPauseMs
    while (!signal.aborted) {
      const began = Date.now()
      await attempt()
      if (Date.now() - began > longestPauseMs * 2) pauseMs = firstPauseMs
      const interrupted = new AbortController()
      wake = () => {
        pauseMs = firstPauseMs
        interrupted.abort()
      }
      const until = AbortSignal.any([signal, interrupted.signal])
      await sleep(pauseMs, undefined, { signal: until }).catch(() => {})
      pauseMs = Math.min(longestPauseMs, pauseMs * 2)
    }
  }

  return {
    machine,
    engine: () => engine,
    wantImages(isWanted) {
      if (isWanted === wantsImages) return
      wantsImages = isWanted
      if (isWanted) listImagesSoon()
    },
    retry: () => wake(),
    ended: watch(),
  }
}
