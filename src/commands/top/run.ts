import { spawn } from 'node:child_process'
import type { Fleet } from '../../app/fleet.ts'
import { messageOf } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { Stacks } from '../../machine/stacks.ts'
import type { Change, ChangeFailure } from '../../operations/top/change-targets.ts'
import { type Target, openSources } from '../../operations/top/open-sources.ts'
import type { Update } from '../../operations/top/updates.ts'
import type { Io } from '../../ui/io.ts'
import { lookOf } from '../../ui/screen/palette.ts'
import { openTerminalScreen, screenSize } from '../../ui/screen/terminal-screen.ts'
import { withTargets } from './command-lines.ts'
import { demandOf } from './demand.ts'
import { draw } from './draw/draw.ts'
import { describeTargets } from './model/actions.ts'
import { applyUpdate } from './model/apply-update.ts'
import { type Effect, type Model, type SwarmModel, initialModel } from './model/model.ts'
import { pressKey } from './model/press-key.ts'

/** The minimum time between redraws for new data, in milliseconds. Changes made by keys are drawn immediately. */
const frameMs = 500

/** The minimum time between redraws while logs are shown, in milliseconds. */
const logFrameMs = 100

/**
 * The time between updates of the current time, in milliseconds. Machines that have stopped answering turn gray at such
 * an update.
 */
const tickMs = 1000

interface Start {
  readonly fleet: Fleet
  readonly io: Io
  readonly machines: readonly Machine[]
  readonly stacks: Stacks
  /** The swarms that the machines belong to. */
  readonly swarms: readonly Pick<SwarmModel, 'name' | 'isProtected'>[]
  readonly isReadOnly: boolean
}

const withMessage = (model: Model, text: string, isBad: boolean): Model => ({
  ...model,
  message: { text, isBad },
})

function describeFailures(
  label: string,
  failures: readonly ChangeFailure[],
  count: number,
): string {
  const [first] = failures
  if (first === undefined) return ''
  const others = failures.length === 1 ? '' : ` (and ${failures.length - 1} more)`
  const of = count === 1 ? '' : ` for ${failures.length} of ${count}`
  return `${label} failed${of}: ${describeTargets([first.target])}: ${first.reason}${others}`
}

const nothing = (): void => {}

/** Shows the dashboard until the user quits. If the command is aborted, throws the abort signal's reason. */
export async function runDashboard({
  fleet,
  io,
  machines,
  stacks,
  swarms,
  isReadOnly,
}: Start): Promise<void> {
  let model = initialModel({
    ...{ machines, stacks, swarms, isReadOnly, now: Date.now(), look: lookOf(io.env) },
    ...screenSize(io.stdout),
  })
  let timer: NodeJS.Timeout | undefined
  let drawnAt = 0
  let quit = nothing
  let fail: (error: unknown) => void = nothing
  const ended = new Promise<void>((resolve, reject) => {
    quit = resolve
    fail = reject
  })

  const drawNow = (): void => {
    clearTimeout(timer)
    timer = undefined
    if (!screen.isReady) return drawSoon()
    drawnAt = performance.now()
    screen.draw(draw(model))
    sources.demand(demandOf(model))
  }
  const drawSoon = (): void => {
    const ms = model.page.kind === 'logs' ? logFrameMs : frameMs
    timer ??= setTimeout(guarded(drawNow), Math.max(20, ms - (performance.now() - drawnAt)))
  }
  /** Makes an error in a callback end the dashboard, so that the terminal is restored. */
  const guarded =
    <Values extends readonly unknown[]>(work: (...values: Values) => void) =>
    (...values: Values): void => {
      try {
        work(...values)
      } catch (error) {
        fail(error)
      }
    }
  const update = guarded((change: Update) => {
    model = applyUpdate(model, change)
    drawSoon()
  })
  const press = guarded((key: string) => {
    const step = pressKey({ ...model, now: Date.now() }, key)
    model = step.model
    for (const effect of step.effects) carryOut(effect)
    drawNow()
  })
  const redraw = guarded(() => {
    model = { ...model, columns: screen.columns, rows: screen.rows }
    drawNow()
  })

  /** Runs fleet command lines on the terminal, in sequence. */
  async function runCommands(
    lines: readonly (readonly string[])[],
    pauses: boolean,
  ): Promise<void> {
    const { program } = io
    if (program === undefined) throw new Error('cannot find the fleet program')
    const { inventoryFile } = fleet
    const before = inventoryFile === undefined ? [] : ['--inventory', inventoryFile]
    await screen.lend(async () => {
      for (const words of lines) {
        const shown = words.map((word) => (/\s/.test(word) ? JSON.stringify(word) : word)).join(' ')
        if (pauses) io.stdout.write(`\n$ fleet ${shown}\n`)
        const args = [program.file, ...before, ...words]
        await new Promise<void>((resolve, reject) => {
          const child = spawn(process.execPath, args, { stdio: 'inherit', cwd: io.cwd })
          child.once('error', reject).once('close', () => resolve())
        })
      }
      if (pauses) await waitForEnter(io)
    })
  }

  const makeChange = async (targets: readonly Target[], change: Change) => {
    const { changeTargets } = await import('../../operations/top/change-targets.ts')
    return changeTargets(fleet, targets, change)
  }

  const run = (lines: readonly (readonly string[])[], pauses: boolean): void => {
    runCommands(lines, pauses).catch(fail)
  }

  function carryOut(effect: Effect): void {
    switch (effect.kind) {
      case 'quit':
        return quit()
      case 'suspend':
        return screen.suspend()
      case 'redraw':
        return screen.forget()
      case 'retry':
        return sources.retry()
      case 'details':
        return sources.readDetails(effect.target, effect.of)
      case 'logs':
        return sources.followLogs(effect.targets)
      case 'run':
        return run(effect.lines, effect.pauses)
      case 'command': {
        try {
          run([withTargets(effect.text, effect.targets)], true)
        } catch (error) {
          model = withMessage(model, messageOf(error), true)
        }
        return
      }
      case 'change': {
        const { label, targets, change } = effect
        makeChange(targets, change).then(
          guarded((failures) => {
            const text = describeFailures(label, failures, targets.length)
            model =
              failures.length === 0
                ? withMessage(model, `${label}: ${describeTargets(targets)}: done`, false)
                : withMessage(model, text, true)
            drawNow()
          }),
          fail,
        )
      }
    }
  }

  const aborted = (): void => fail(fleet.signal.reason)
  using screen = openTerminalScreen(io, { onKey: press, onRedraw: redraw })
  const watched = { machines, swarms: swarms.map(({ name }) => name) }
  await using sources = openSources(fleet, watched, update)
  const ticking = setInterval(
    guarded(() => {
      model = { ...model, now: Date.now() }
      drawSoon()
    }),
    tickMs,
  )
  fleet.signal.addEventListener('abort', aborted, { once: true })
  try {
    fleet.signal.throwIfAborted()
    guarded(drawNow)()
    await ended
  } finally {
    clearInterval(ticking)
    clearTimeout(timer)
    fleet.signal.removeEventListener('abort', aborted)
  }
}

/** Waits for Enter, so that the user can read what a command printed. */
async function waitForEnter({ stdin, stdout }: Io): Promise<void> {
  stdout.write('\nPress Enter to return to fleet top.')
  await new Promise<void>((resolve) => {
    const done = (): void => {
      stdin.off('data', done).off('end', done).pause()
      resolve()
    }
    stdin.on('data', done).once('end', done).resume()
  })
}
