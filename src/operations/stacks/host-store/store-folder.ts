import { UserError } from '../../../errors.ts'
import { type Machine, socketOf } from '../../../machine/machine.ts'
import { run } from '../../../transport/run.ts'
import type { Context } from '../../context.ts'
import type { HostDocker } from '../../docker/on-host/host-docker.ts'
import { findSudo } from '../../../os/find-sudo.ts'

/** A host on which stacks are stored. */
export interface StackHost extends HostDocker {
  /** The directory that contains one directory for each stack of each inventory. */
  readonly stacks: string
  /** The version of Docker Compose on the host; absent if Compose is not installed. */
  readonly compose?: string
}

/** The directory of the stacks on a host where fleet can become root. */
const ofRoot = '/var/lib/fleet/stacks'

/** The directory of the stacks below the home directory of a user who cannot become root. */
const ofUser = '.local/share/fleet/stacks'

/**
 * Prints how the directory of the stacks can be written to (`root`, `sudo`, `user` or `denied`), the version of
 * Compose, and the home directory. A rootless engine cannot read root's files.
 */
const probe = `
socket=$1
${findSudo}
owner=$(stat -c %u -- "$socket" 2>/dev/null) user=$(id -u)
if [ "\${owner:-0}" != 0 ] && [ "$owner" = "$user" ]; then access=user
elif [ "$user" = 0 ]; then access=root
elif [ -n "$sudo" ]; then access=sudo
elif [ -w "$socket" ] || [ ! -e "$socket" ]; then access=user
else access=denied; fi
[ "$access" = sudo ] || sudo=
printf '%s\\n%s\\n' "$access" "$($sudo docker compose version --short 2>/dev/null)"
printf %s "$HOME"
`

/**
 * Finds the directory of the stacks on a host, and the host's Docker Compose. Throws kind `credentials` if the login
 * user has no permission to use the engine, and `unsupported` for a home directory in which stacks cannot be stored.
 */
export async function findStackHost(context: Context, machine: Machine): Promise<StackHost> {
  const { name } = machine
  const socket = socketOf(machine)
  const transport = await context.connect(machine)
  const { signal } = context
  const { stdout } = await run(transport, ['sh', '-c', probe, 'fleet', socket], { signal })
  const [access, compose = '', ...home] = stdout.split('\n')
  if (access !== 'root' && access !== 'sudo' && access !== 'user') {
    throw new UserError(
      'credentials',
      `the login user does not have permission to use ${socket} on ${name}`,
      {
        machine: name,
        hint: 'run on the host: sudo usermod -aG docker USER; then close the open connection: fleet broker stop',
      },
    )
  }
  const become = access === 'sudo' ? ['sudo', '-n'] : []
  const folder = home.join('\n')
  if (access === 'user' && !isPlainPath(folder)) {
    throw new UserError(
      'unsupported',
      `stacks cannot be stored in the home directory ${JSON.stringify(folder)} on ${name}`,
      { machine: name, hint: 'log in as root or a user with sudo access' },
    )
  }
  return {
    ...{ name, transport, become, home: folder },
    docker: [...become, 'env', `DOCKER_HOST=unix://${socket}`, 'docker'],
    stacks: access === 'user' ? `${folder}/${ofUser}` : ofRoot,
    ...(/^v?\d/.test(compose) && { compose }),
  }
}

/** Whether a path reported by a host is free of variables, which Compose would replace in a model. */
const isPlainPath = (path: string): boolean => /^\/[\w.@+/-]*$/.test(path)

/** The directory of a stack on a host; `inventory` is the ID of the inventory. */
export const storeFolder = (
  { stacks }: Pick<StackHost, 'stacks'>,
  { inventory, stack }: { inventory: string; stack: string },
): string => `${stacks}/${inventory}/${stack}`

/**
 * Derives the root of a stack's files from a path below it that a container mounts. The host is not asked, because a
 * plan must not take longer than listing the containers.
 */
export function rootOfMounts(
  mounts: readonly string[],
  { inventory, stack }: { inventory: string; stack: string },
): string {
  const end = `/fleet/stacks/${inventory}/${stack}/root`
  for (const source of mounts) {
    const at = source.indexOf(`${end}/`)
    const root = source.slice(0, at + end.length)
    if (at !== -1 && isPlainPath(root)) return root
  }
  return `${ofRoot}/${inventory}/${stack}/root`
}
