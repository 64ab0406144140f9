import { env, stdout } from 'node:process'
import { styleText } from 'node:util'
import { finish } from '../../test/support/lab/process.ts'
import type { Chapter, Step } from './scenario.ts'
import type { Seat } from './stage.ts'

type Typed = Extract<Step, { type: string }>

const isTerminal = stdout.isTTY
const withColors = isTerminal && !env['NO_COLOR']
const columns = isTerminal ? stdout.columns : 132

const paint = (style: Parameters<typeof styleText>[0], line: string): string =>
  withColors ? styleText(style, line) : line

/** Returns the text that a terminal shows after `text` is written to it, without overwritten lines and colors. */
const asPlainText = (text: string): string =>
  text
    .replaceAll(/\r+\n/g, '\n')
    // oxlint-disable-next-line no-control-regex
    .replaceAll(/\u001B\[[12]?[GK]/g, '\r')
    // oxlint-disable-next-line no-control-regex
    .replaceAll(/\u001B\[[\d;?]*[A-Za-z]/g, '')
    .replaceAll(/^.*\r/gm, '')

/** Runs a command line on a new terminal and prints its output. Returns its exit code. */
async function typeLine(seat: Seat, { type, on = seat.host, stopAfter }: Typed): Promise<number> {
  const terminal = ['script', '-qefc', `stty cols ${columns}; ${type}`, '/dev/null']
  const { env: own, ...rest } = on === seat.host ? seat.surroundings : {}
  const child = on.spawn(terminal, {
    ...rest,
    env: { ...own, TERM: env['TERM'] ?? 'xterm', ...(withColors ? {} : { NO_COLOR: '1' }) },
  })
  const ctrlC = setTimeout(() => child.stdin?.write('\u0003'), (stopAfter ?? 0) * 1000)
  if (stopAfter === undefined) clearTimeout(ctrlC)
  if (isTerminal) child.stdout?.pipe(stdout, { end: false })
  const { code, stdout: printed } = await finish(child)
  clearTimeout(ctrlC)
  if (!isTerminal) stdout.write(asPlainText(printed))
  return code
}

/** Plays one step. Throws if a command exits with an unexpected code. */
async function playStep(seat: Seat, step: Step): Promise<void> {
  if ('event' in step) {
    stdout.write(paint('yellow', `\n(${step.event})\n`))
    await step.happens()
    return
  }
  const { type, on, code: expected = 0 } = step
  const prompt = on === undefined ? '$' : `${on.name} #`
  stdout.write(`\n${paint('dim', prompt)} ${paint(['bold', 'cyan'], type)}\n`)
  const code = await typeLine(seat, step)
  if (code !== expected) {
    throw new Error(`"${type}" exited with code ${code}, and should have with ${expected}`)
  }
}

/** Plays all chapters. Returns the number of commands. Throws if a command exits with an unexpected code. */
export async function playScenario(seat: Seat, chapters: readonly Chapter[]): Promise<number> {
  for (const { title, steps } of chapters) {
    stdout.write(paint(['bold', 'magenta'], `\n== ${title} ==\n`))
    for (const step of steps) await playStep(seat, step)
  }
  return chapters.flatMap(({ steps }) => steps).filter((step) => 'type' in step).length
}
