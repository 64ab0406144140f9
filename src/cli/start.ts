import { dirname, join } from 'node:path'
import { asksForJson, commandIn, failureCodeFor } from './argv.ts'
import { askBroker } from './ask-broker.ts'
import { exitOnWriteErrors } from './output-errors.ts'
import type * as Broker from './run-broker.ts'
import type * as Process from './process.ts'
import { newTraceId } from '../os/trace.ts'
import { locateHome, foreignOwner } from '../state/home/locate-home.ts'
import type { Program } from '../ui/io.ts'

/** Identifies this build; set by the build. */
declare const fleetBuild: string

/** The names of the commands with `runsInBroker`, so this process can ask the broker without loading a command. */
export const hosted: ReadonlySet<string | undefined> = new Set(
  'ps images logs df history where exec ssh __complete'.split(' '),
)

/** Other commands whose compiled code has a separate cache file. All remaining commands share one. */
const frequent: ReadonlySet<string> = new Set(
  '__broker ls status cp env run compose docker top'.split(' '),
)

/** Whether a command can run in the broker. */
const mayBeHosted = (command: string | undefined): boolean =>
  process.platform !== 'win32' && process.env['FLEET_BROKER'] !== 'off' && hosted.has(command)

/** How often the broker writes newly compiled code to the cache, in milliseconds. */
const keepMs = 10_000

/**
 * Returns whether the working directory still exists. If not, writes an error and sets the exit code: without a working
 * directory, no path can be resolved.
 */
function hasWorkingDirectory(argv: readonly string[]): boolean {
  try {
    process.cwd()
    return true
  } catch {
    const message = 'the working directory no longer exists'
    const hint = 'change to an existing directory'
    const json = { error: { kind: 'failed', message, hint } }
    const text = asksForJson(argv) ? JSON.stringify(json) : `fleet: ${message}\n  ${hint}`
    process.exitCode = failureCodeFor(argv)
    exitOnWriteErrors('stderr').write(`${text}\n`)
    return false
  }
}

/** Runs a command line in the broker if possible, otherwise in this process. */
export async function start(
  argv: readonly string[],
  main: Pick<Program, 'file' | 'version'>,
): Promise<void> {
  if (!hasWorkingDirectory(argv)) return
  const traceId = process.env['FLEET_DEBUG'] ? newTraceId() : undefined
  const program = { ...main, build: fleetBuild, traceId }
  const command = commandIn(argv)
  if (mayBeHosted(command) && (await askBroker(argv, program.build, traceId))) return
  const isFrequent = command !== undefined && (hosted.has(command) || frequent.has(command))
  const release = `${fleetBuild}-${process.version}-${process.arch}-${isFrequent ? command : 'other'}`
  const home = locateHome(process.env)
  const isOurs = foreignOwner(home, process.env) === undefined
  const cache = isOurs ? join(home, 'cache', 'code', release) : undefined
  const { openCode } = await import('./code-cache.ts')
  const code = openCode(dirname(main.file), cache)
  if (command === '__broker') {
    // V8 discards compiled code that has not been called for a while, so it is saved regularly.
    setInterval(() => code.keep(), keepMs).unref()
    const { runBroker } = code.load('chunks/broker.js') as typeof Broker
    await runBroker(program)
    process.exit() // oxlint-disable-line unicorn/no-process-exit -- a host may still hold a connection open
  }
  const { runProcess } = code.load('chunks/process.js') as typeof Process
  await runProcess(argv, program)
}
