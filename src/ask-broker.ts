import { exitOnBrokenPipe } from './broken-pipe.ts'
import { locateHome } from './state/locate-home.ts'
import { askToRun } from './transport/broker/ask-to-run.ts'
import { identifyBuild, placeOfSockets } from './transport/broker/place.ts'

const lookOf = ({ isTTY, columns }: NodeJS.WriteStream) =>
  isTTY ? { isTTY, columns } : { isTTY: false }

/**
 * Has the broker run a command line, and passes on what it says; the process ends as the command does. False, with nothing
 * said or done, where the broker does not run, or leaves it to this process.
 */
export async function askBroker(argv: readonly string[], program: string): Promise<boolean> {
  const { env, stdout, stderr } = process
  const folder = placeOfSockets(locateHome(env), env)
  const command = { argv, cwd: process.cwd(), env, stdout: lookOf(stdout), stderr: lookOf(stderr) }
  const running = await askToRun(folder, identifyBuild(program), command)
  if (running === undefined) return false
  const cancel = () => {
    running.kill('INT')
    process.once('SIGINT', () => process.exit(130))
  }
  process.once('SIGINT', cancel)
  exitOnBrokenPipe(stdout)
  exitOnBrokenPipe(stderr)
  running.stdout.pipe(stdout)
  running.stderr.pipe(stderr)
  const status = await running.exit
  process.exitCode = 'code' in status ? status.code : 130
  process.off('SIGINT', cancel)
  return true
}
