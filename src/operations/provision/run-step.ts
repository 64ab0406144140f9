import { UserError } from '../../errors.ts'
import type { Step } from '../../provision/host/distributions.ts'
import { newMark } from '../../transport/output-after-mark.ts'
import { exitCodeOf, shellLine } from '../../transport/command.ts'
import type { Prompt } from '../../transport/ssh/connect.ts'
import type { RunningCommand } from '../../transport/transport.ts'
import type { ProbeTarget } from '../adopt/probe-host.ts'
import type { Progress } from '../../os/progress.ts'

/** The maximum number of lines of a failed step's output that are quoted in the error. */
const quotedLines = 15

/** The number of attempts to enter the sudo password: the same as sudo's default for `passwd_tries`. */
const passwordTries = 3

/** Answers the prompts of sudo on one host. */
export interface SudoPassword {
  /** The user whose password is required. */
  readonly user: string
  /**
   * Returns the password for a step. `attempt` starts at 0 for each step. Throws kind `credentials` if no one can be
   * asked.
   */
  readonly get: (attempt: number, step: Pick<Step, 'description'>) => Promise<string>
}

/**
 * Asks for the sudo password: once per fleet command for all hosts, and again for a host that rejects it. The password
 * is kept in memory until the command ends, and is sent only when sudo asks for it.
 */
export function askSudoPassword(
  { machine }: Pick<ProbeTarget, 'machine'>,
  user: string,
  prompt: Prompt | undefined,
): SudoPassword {
  let known: string | undefined
  return {
    user,
    async get(attempt, step) {
      if (attempt === 0 && known !== undefined) return known
      if (prompt === undefined) throw noTerminal(machine, user, step)
      if (attempt >= passwordTries) throw wrongPassword(machine, user)
      const isFirst = attempt === 0
      known = await prompt({
        text: isFirst
          ? `Password for ${user} (sudo):`
          : `Wrong password. Password for ${user} (sudo) on ${machine}:`,
        secret: true,
        sharedAs: isFirst ? `sudo ${user}` : `sudo ${user} ${machine} ${attempt}`,
      })
      return known
    },
  }
}

const noTerminal = (
  machine: string,
  user: string,
  { description }: Pick<Step, 'description'>,
): UserError =>
  new UserError('credentials', `sudo requires ${user}'s password to ${description}`, {
    machine,
    hint: `run the command in a terminal to enter the password, or allow ${user} to use sudo without a password`,
  })

const wrongPassword = (machine: string, user: string): UserError =>
  new UserError('credentials', `sudo rejected ${user}'s password`, {
    machine,
    hint: `check that the password is correct and that ${user} can use sudo: fleet ssh ${machine} sudo -v`,
  })

/** Runs one step and returns its output. The user's login shell only has to start `sh` or sudo. */
export async function runStep(
  { machine, transport, signal }: ProbeTarget,
  step: Step,
  progress: Progress,
  sudo: SudoPassword,
): Promise<string> {
  progress(step.description)
  const ending = new AbortController()
  const stop = AbortSignal.any([signal, ending.signal])
  const lines: string[] = []
  const take = (line: string) => {
    lines.push(line)
    if (line.startsWith('Waiting')) progress(line)
  }
  const mark = newMark()
  let attempts = 0
  const { sudo: needs } = step
  const running = await (needs === undefined
    ? transport.exec(['sh'], { signal: stop })
    : transport.exec(sudoWords(step.command, mark, needs), {
        signal: stop,
        ...(needs === 'terminal' && { terminal: { columns: 200, rows: 50, type: 'dumb' } }),
      }))
  running.stdin.on('error', () => {}) // the exit code reports a failure
  if (needs === undefined) running.stdin.end(`exec ${shellLine(step.command)} </dev/null\n`)
  const answer = async () => {
    try {
      const password = await sudo.get(attempts, step)
      attempts += 1
      running.stdin.write(`${password}\n`)
    } catch (error) {
      ending.abort(error)
    }
  }
  const [status] = await Promise.all([
    running.exit,
    readLines(running.stdout, mark, take, answer),
    readLines(running.stderr, mark, take, answer),
  ])
  const code = exitCodeOf(status)
  if (code === 0) return lines.join('\n')
  if (attempts > 0 && lines.some((line) => /incorrect password|not in the sudoers/.test(line))) {
    throw wrongPassword(machine, sudo.user)
  }
  const last = lines.slice(-quotedLines).map((line) => `\n  ${line}`)
  throw new UserError(
    'failed',
    `could not ${step.description} (exit code ${code})${last.join('')}`,
    {
      machine,
      hint: 'run the command again to continue',
    },
  )
}

/**
 * The sudo command line, with `mark` as the prompt. sudo reads the password from standard input, or from its terminal
 * without echo.
 */
const sudoWords = (
  command: readonly string[],
  mark: string,
  needs: 'password' | 'terminal',
): readonly string[] => [
  ...['env', 'LC_ALL=C', 'sudo', '-p', mark],
  ...(needs === 'password' ? ['-S'] : []),
  ...['--', 'sh', '-c', 'exec "$@" </dev/null', 'sh'],
  ...command,
]

/**
 * Calls `take` with each line of output, and `prompted` for each prompt of sudo, which does not end with a line break.
 */
async function readLines(
  stream: RunningCommand['stdout'],
  mark: string,
  take: (line: string) => void,
  prompted: () => Promise<void>,
): Promise<void> {
  let text = ''
  stream.setEncoding('utf8')
  for await (const chunk of stream as AsyncIterable<string>) {
    text += chunk
    while (text.includes(mark)) {
      text = text.replace(mark, '')
      await prompted()
    }
    const found = text.split(/\r?\n/)
    text = found.pop() ?? ''
    found.filter((line) => line !== '').forEach(take)
  }
  if (text !== '') take(text)
}
