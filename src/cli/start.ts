import { dirname, join } from 'node:path'
import { askBroker } from './ask-broker.ts'
import type * as Broker from './run-broker.ts'
import type * as Process from './process.ts'
import { newTraceId } from '../os/trace.ts'
import { locateHome, foreignOwner } from '../state/home/locate-home.ts'
import type { Program } from '../ui/io.ts'

/** Identifies this build; set by the build. */
declare const fleetBuild: string

/** Frequent commands, which the broker can run faster than a new process. */
const hosted: ReadonlySet<string | undefined> = new Set(
  'ps images logs df history exec ssh __complete'.split(' '),
)

/** Whether a command line can run in the broker. */
function mayBeHosted(argv: readonly string[]): boolean {
  if (process.platform === 'win32' || process.env['FLEET_BROKER'] === 'off') return false
  const words = [...argv]
  let word = words.shift()
  while (word !== undefined && /^(?:-m|--(?:machine|on|all))(?:=|$)/.test(word)) {
    if (!word.includes('=') && word !== '--all') words.shift()
    word = words.shift()
  }
  return hosted.has(word)
}

/** Runs a command line in the broker if possible, otherwise in this process. */
export async function start(
  argv: readonly string[],
  main: Pick<Program, 'file' | 'version'>,
): Promise<void> {
  const traceId = process.env['FLEET_DEBUG'] ? newTraceId() : undefined
  const program = { ...main, build: fleetBuild, traceId }
  if (mayBeHosted(argv) && (await askBroker(argv, program.build, traceId))) return
  const release = `${fleetBuild}-${process.version}-${process.arch}`
  const home = locateHome(process.env)
  const isOurs = foreignOwner(home, process.env) === undefined
  const cache = isOurs ? join(home, 'cache', 'code', release) : undefined
  const { openCode } = await import('./code-cache.ts')
  const code = openCode(dirname(main.file), cache)
  if (argv[0] === '__broker') {
    const { runBroker } = code.load('chunks/broker.js') as typeof Broker
    await runBroker(program)
    process.exit() // oxlint-disable-line unicorn/no-process-exit -- a host may still hold a connection open
  }
  const { runProcess } = code.load('chunks/process.js') as typeof Process
  await runProcess(argv, program)
}
