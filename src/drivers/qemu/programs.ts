import { readFile } from 'node:fs/promises'
import { UserError, codeOf, messageOf } from '../../errors.ts'
import type { Architecture } from './host-file.ts'
import { type ProgramOptions, type ProgramOutput, execProgram } from '../../os/exec-file.ts'
import type { Environment } from '../../os/environment.ts'
import { ignored } from '../../os/trace.ts'

/** Commands that install QEMU, keyed by the distribution's ID (os-release(5)). */
const packages: Readonly<Record<string, (arch: Architecture) => string>> = {
  debian: (arch) =>
    `sudo apt-get install qemu-utils ${arch === 'amd64' ? 'qemu-system-x86' : 'qemu-system-arm qemu-efi-aarch64'}`,
  fedora: (arch) => `sudo dnf install qemu-img qemu-system-${arch === 'amd64' ? 'x86' : 'aarch64'}`,
  rhel: () => 'sudo dnf install qemu-kvm qemu-img',
  suse: (arch) => `sudo zypper install qemu-tools qemu-${arch === 'amd64' ? 'x86' : 'arm'}`,
  arch: () => 'sudo pacman -S qemu-full',
  alpine: (arch) => `sudo apk add qemu-img qemu-system-${arch === 'amd64' ? 'x86_64' : 'aarch64'}`,
}

/** Returns a hint that explains how to install QEMU on a computer. */
export function installHint(
  platform: NodeJS.Platform,
  osRelease: string,
  arch: Architecture,
): string {
  if (platform === 'darwin') return 'install QEMU: brew install qemu'
  if (platform === 'win32') {
    return 'install QEMU in WSL, and use fleet there (in Debian or Ubuntu: sudo apt-get install qemu-system-x86 qemu-utils); or use the virtualbox driver'
  }
  const words = /^ID(?:_LIKE)?=.*$/gm
  const ids = (osRelease.match(words) ?? []).flatMap((line) => line.split(/[="\s']+/).slice(1))
  const install = ids.map((id) => packages[id]).find((known) => known !== undefined)
  return install === undefined
    ? "install QEMU and qemu-img with your distribution's package manager"
    : `install QEMU: ${install(arch)}`
}

/** Returns the error to throw if QEMU is not installed. */
async function notInstalledError(program: string, cause: unknown): Promise<UserError> {
  const osRelease = await readFile('/etc/os-release', 'utf8').catch(
    ignored('qemu', 'read /etc/os-release', ''),
  )
  const arch = program.endsWith('aarch64') || process.arch === 'arm64' ? 'arm64' : 'amd64'
  return new UserError(
    'unsupported',
    `QEMU is not installed on this computer: ${program} was not found`,
    {
      hint: installHint(process.platform, osRelease, arch),
      cause,
    },
  )
}

/** Time limit of a program that does not run in the background, in milliseconds: copying a disk takes the longest. */
const programTimeout = 10 * 60_000

/**
 * Starts a program whose files, sockets and logs only the user can access, regardless of the umask.
 */
function startProgram(
  program: string,
  words: readonly string[],
  options: ProgramOptions,
): Promise<ProgramOutput> {
  const before = process.umask(0o077)
  try {
    return execProgram(program, words, options)
  } finally {
    process.umask(before)
  }
}

/**
 * Runs one of QEMU's programs and returns its output. Throws kind `unsupported` if the program is not installed, and
 * `failed` with the program's message if it fails.
 */
export async function runProgram(
  program: string,
  words: readonly string[],
  { env, signal }: { readonly env: Environment; readonly signal: AbortSignal },
): Promise<string> {
  const variables = { ...env, LC_ALL: 'C' }
  const options = { signal, timeout: programTimeout, maxBuffer: 2 ** 24, env: variables }
  try {
    return (await startProgram(program, words, options)).stdout
  } catch (error) {
    signal.throwIfAborted()
    if (codeOf(error) === 'ENOENT') throw await notInstalledError(program, error)
    const { stderr = '' } = error as { readonly stderr?: string }
    const message = stderr.trim().split('\n').at(-1) || messageOf(error)
    throw new UserError('failed', `${program}: ${message}`, { cause: error })
  }
}

/** Returns the emulator for an architecture. */
export const emulatorOf = (arch: Architecture): string =>
  arch === 'amd64' ? 'qemu-system-x86_64' : 'qemu-system-aarch64'
