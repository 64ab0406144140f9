import { UserError, codeOf } from '../../errors.ts'
import type { Environment } from '../../os/environment.ts'
import { execProgram } from '../../os/exec-file.ts'

/** The PATH to use if the environment has none. */
const usualPath = '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin:/opt/homebrew/bin'

/** The oldest release that passes the connection protocol through its shared socket (`ssh -O proxy`). */
const oldest = [7, 4] as const

/** The version of OpenSSH's client on this computer. */
export interface SshProgram {
  readonly major: number
  readonly minor: number
}

export const pathOf = (env: Environment): string => env['PATH'] || usualPath

const isBelow = (
  { major, minor }: SshProgram,
  [wantedMajor, wantedMinor]: readonly [number, number],
) => major < wantedMajor || (major === wantedMajor && minor < wantedMinor)

/** Whether the program's version is the given release or a later one. */
export const isSince = (program: SshProgram, major: number, minor: number): boolean =>
  !isBelow(program, [major, minor])

async function readVersion(env: Environment): Promise<SshProgram> {
  let words: string
  try {
    const { stdout, stderr } = await execProgram('ssh', ['-V'], {
      env: { PATH: pathOf(env) },
      timeout: 10_000,
    })
    words = `${stdout}${stderr}`.trim()
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    throw new UserError('unsupported', 'the ssh program is not installed', {
      hint: 'install the OpenSSH client (Debian, Ubuntu: sudo apt-get install openssh-client; Fedora: sudo dnf install openssh-clients), or unset FLEET_SSH and remove "client" under "ssh:" from the machine\'s entry',
      cause: error,
    })
  }
  const [, major, minor] = /^OpenSSH_(\d+)\.(\d+)/.exec(words) ?? []
  const program = { major: Number(major), minor: Number(minor) }
  if (major === undefined || isBelow(program, oldest)) {
    throw new UserError(
      'unsupported',
      `the ssh program on this computer is too old or is not OpenSSH: ${words.split('\n')[0] ?? ''}`,
      { hint: `install OpenSSH ${oldest.join('.')} or later` },
    )
  }
  return program
}

const found = new Map<string, Promise<SshProgram>>()

/**
 * Finds OpenSSH's client. Throws kind `unsupported` if it is not installed or too old, and on Windows, where it cannot
 * share a connection.
 */
export async function findSsh(env: Environment): Promise<SshProgram> {
  if (process.platform === 'win32') {
    throw new UserError('unsupported', 'the openssh client does not work on Windows', {
      hint: 'to use fleet\'s own SSH client, unset FLEET_SSH and remove "client" under "ssh:" from the machine\'s entry',
    })
  }
  const path = pathOf(env)
  const known = found.get(path) ?? readVersion(env)
  found.set(path, known)
  known.catch(() => found.delete(path)) // it may be installed later
  return known
}
