import { realpath } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { UserError, messageOf } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import { execProgram } from '../../os/exec-file.ts'
import { findProgram } from '../../os/find-program.ts'
import type { Progress } from '../../os/progress.ts'
import { shellQuote } from '../../os/shell-quote.ts'
import type { Context } from '../context.ts'
import { checkMountPoint, findMounted, readMountinfo } from './mount-point.ts'
import { findRemoteDirectory } from './sftp-server.ts'

/** The hidden command that sshfs runs instead of ssh. */
const sftpCommand = '__sftp'

/** The environment variable that contains the command line returned by {@link sftpCommand}. */
const commandVariable = 'FLEET_SFTP_COMMAND'

/**
 * The command that sshfs starts instead of ssh, for its first connection and to reconnect. sshfs splits it at spaces
 * and does not support quotes, so tabs separate the words of the shell command. The words that sshfs appends become
 * arguments of the shell, which ignores them.
 */
const sshCommand = `sh -c eval\t"exec\t$${commandVariable}"`

const installSshfs =
  process.platform === 'darwin'
    ? 'install macFUSE and sshfs: brew install --cask macfuse, then brew install gromgit/fuse/sshfs-mac'
    : 'install sshfs: sudo apt-get install sshfs (Debian, Ubuntu), sudo dnf install fuse-sshfs (Fedora), sudo pacman -S sshfs (Arch)'

/**
 * Makes a path absolute and resolves its symbolic links. The last component is not resolved, since the directory may be
 * unreadable after a lost connection.
 */
async function realPathOf(cwd: string, typed: string): Promise<string> {
  const path = resolve(cwd, typed)
  const parent = await realpath(dirname(path)).catch(() => dirname(path))
  return join(parent, basename(path))
}

function requirePlatform(): void {
  if (process.platform !== 'win32') return
  throw new UserError('unsupported', 'fleet mount works only on Linux and macOS', {
    hint: 'use fleet in WSL, or copy files with fleet cp',
  })
}

/** The directory to mount, and the mount point. */
export interface MountRequest {
  readonly machine: Machine
  /** The directory on the machine; if empty, the home directory of the login user. */
  readonly path: string
  /** The mount point on this computer, relative to `cwd`. */
  readonly directory: string
  readonly cwd: string
}

/**
 * Mounts a directory of a machine with sshfs, over a connection that fleet opens, with its login, host keys, jump hosts
 * and tunnels. Resolves to the source, such as `web-1:/srv`, and the absolute path of the mount point. Throws kind
 * `unsupported` without sshfs, and kind `failed` for all other failures.
 */
export async function mountDirectory(
  context: Context,
  { machine, path, directory, cwd }: MountRequest,
  progress: Progress,
): Promise<{ source: string; directory: string }> {
  requirePlatform()
  const { env, program, signal } = context
  if (program === undefined) {
    throw new UserError('unsupported', 'fleet cannot mount directories when it is run from source')
  }
  const real = await realpath(resolve(cwd, directory)).catch(() => realPathOf(cwd, directory))
  await checkMountPoint(real)
  const sshfs = await findProgram('sshfs', env)
  if (sshfs === undefined) {
    throw new UserError('unsupported', 'cannot find sshfs on the PATH', { hint: installSshfs })
  }
  progress('connect')
  const transport = await context.connect(machine)
  const remote = await findRemoteDirectory(transport, machine.name, path, signal)
  progress('mount')
  const { location } = await context.inventory()
  // sshfs is started with `/` as its working directory, so all paths must be absolute.
  const inventory = ['--inventory', resolve(cwd, location)]
  const words = [process.execPath, program, sftpCommand, ...inventory, machine.name]
  const home = env['FLEET_HOME']
  const source = `${machine.name}:${remote}`
  await execProgram(sshfs, [source, real, '-o', `reconnect,idmap=user,ssh_command=${sshCommand}`], {
    cwd: '/',
    env: {
      ...env,
      ...(home && { FLEET_HOME: resolve(cwd, home) }),
      [commandVariable]: words.map(shellQuote).join(' '),
    },
    signal,
  }).catch((cause: unknown) => {
    signal.throwIfAborted()
    const reason = reasonOf(cause)
    const isClosed = /reset by peer|disconnected/.test(reason)
    throw new UserError('failed', `sshfs cannot mount ${source} on ${real}: ${reason}`, {
      machine: machine.name,
      hint: isClosed
        ? 'sshfs cannot prompt for a passphrase: if your key has one, run ssh-add first, or unset FLEET_BROKER'
        : undefined,
      cause,
    })
  })
  return { source, directory: real }
}

/** Unmounts a directory. Resolves to its path. Throws kind `failed` if it is in use or was not mounted with sshfs. */
export async function unmountDirectory(
  { env, signal }: Pick<Context, 'env' | 'signal'>,
  typed: string,
  cwd: string,
): Promise<string> {
  requirePlatform()
  const mountinfo = await readMountinfo()
  const [named, real] = [
    await realPathOf(cwd, typed),
    await realpath(resolve(cwd, typed)).catch(() => undefined),
  ]
  const directory = [real, named].find(
    (path) =>
      path !== undefined &&
      (mountinfo === undefined || findMounted(mountinfo, path)?.type === 'fuse.sshfs'),
  )
  if (directory === undefined) {
    throw new UserError('failed', `${real ?? named} is not mounted with sshfs`, {
      hint: 'to list sshfs mounts: mount -t fuse.sshfs',
    })
  }
  const [program, args] = await findUnmount(env, directory)
  await execProgram(program, args, { cwd: '/', env, signal }).catch((cause: unknown) => {
    signal.throwIfAborted()
    throw new UserError('failed', `cannot unmount ${directory}: ${reasonOf(cause)}`, {
      hint: `if programs are using the directory, close them first; to list them: fuser -vm ${shellQuote(directory)}`,
      cause,
    })
  })
  return directory
}

/** The program with which users other than root can unmount a directory, and its arguments. */
async function findUnmount(
  env: Context['env'],
  directory: string,
): Promise<readonly [string, readonly string[]]> {
  for (const name of ['fusermount3', 'fusermount']) {
    const program = await findProgram(name, env)
    if (program !== undefined) return [program, ['-u', directory]]
  }
  return ['umount', [directory]]
}

/** The last line of a program's error output, without the program name; the error's message if there is no output. */
function reasonOf(cause: unknown): string {
  const printed = cause instanceof Error && 'stderr' in cause ? String(cause.stderr) : ''
  const line = printed.trim().split('\n').at(-1)?.trim()
  if (!line) return messageOf(cause)
  return line.replace(/^(?:\S*\/)?(?:sshfs|fusermount3?|umount): (?:failed to unmount .*: )?/, '')
}
