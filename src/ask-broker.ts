import { constants } from 'node:os'
import { isatty } from 'node:tty'
import { exitOnBrokenPipe } from './broken-pipe.ts'
import { locateHome } from './state/locate-home.ts'
import { askToRun } from './transport/broker/ask-to-run.ts'
import { placeOfSockets } from './transport/broker/place.ts'
import type { Want } from './transport/broker/protocol.ts'
import type { RunningCommand } from './transport/transport.ts'

const lookOf = ({ isTTY, columns, rows }: NodeJS.WriteStream) =>
  isTTY ? { isTTY, columns, rows } : { isTTY: false }

/** Passes Ctrl-C and its like on; a second one ends the process. */
function passSignals(running: RunningCommand): void {
  let isTold = false
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (isTold) process.exit(128 + constants.signals[signal])
      isTold = true
      running.kill(signal.slice('SIG'.length))
    })
  }
}

/** Gives the command what it wants of this process: its input, and its terminal as a mere wire. */
function serve(running: RunningCommand, want: Want): void {
  const { stdin, stdout } = process
  if ('input' in want) {
    running.stdin.on('error', () => {}) // it may end without reading its input
    stdin.pipe(running.stdin)
    return
  }
  stdin.setRawMode(want.raw)
  stdout.removeAllListeners('resize')
  if (want.raw) {
    stdout.on('resize', () => running.resize({ columns: stdout.columns, rows: stdout.rows }))
  }
}

/**
 * Has the broker run a command line, and passes on what it says; the process ends as the command does. False, with nothing
 * said or done, where the broker does not run, or leaves it to this process.
 */
export async function askBroker(argv: readonly string[], build: string): Promise<boolean> {
  const { env, stdout, stderr } = process
  const home = locateHome(env)
  const folder = placeOfSockets(home, env)
  const command = {
    // A relative path would mean another one in the broker, which works in no folder of the person's.
    ...{ argv, cwd: process.cwd(), env: env['FLEET_HOME'] ? { ...env, FLEET_HOME: home } : env },
    // Opening the input would take from it what is typed ahead for whoever reads it.
    ...{ stdin: { isTTY: isatty(0) }, stdout: lookOf(stdout), stderr: lookOf(stderr) },
  }
  const wants: Want[] = []
  let take = (want: Want): void => void wants.push(want)
  const asked = await askToRun(folder, build, command, (want) => take(want))
  if (asked === undefined) return false
  const { running, loss } = asked
  take = (want) => serve(running, want)
  for (const want of wants) take(want)
  passSignals(running)
  exitOnBrokenPipe(stdout)
  exitOnBrokenPipe(stderr)
  running.stdout.pipe(stdout)
  running.stderr.pipe(stderr)
  const code = await running.exit.then(
    (status) => ('code' in status ? status.code : 130),
    () => {
      stderr.write(loss.words)
      return loss.code
    },
  )
  // What was written has to be out before the process ends.
  stdout.write('', () => stderr.write('', () => process.exit(code)))
  return true
}
