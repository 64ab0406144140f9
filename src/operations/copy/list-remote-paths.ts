import type { Machine } from '../../machine/machine.ts'
import { requireHost } from '../../machine/machine.ts'
import { run } from '../../transport/run.ts'
import type { BrokerStatus } from '../../broker/protocol.ts'
import type { Context } from '../context.ts'

/** The maximum number of suggested paths. */
const longestList = 500

/** Prints the paths that begin with `$1`; directories end with a slash. */
const list = `
case $1 in '~/'*) path=.\${1#?} ;; *) path=$1 ;; esac
count=0
for found in "$path"*; do
  [ -e "$found" ] || [ -L "$found" ] || continue
  count=$((count + 1)); [ "$count" -gt ${longestList} ] && break
  [ -d "$found" ] && found=$found/
  printf '%s\\0' "$1\${found#"$path"}"
done
`

/** Whether the broker is connected to a machine. */
function isConnected(status: BrokerStatus, machine: Machine): boolean {
  const { address, port = 22, user } = requireHost(machine)
  return status.hosts.some(
    (host) =>
      host.state === 'connected' &&
      host.machine === machine.name &&
      host.address === address &&
      host.port === port &&
      (user === undefined || host.user === user),
  )
}

/**
 * The paths on a machine that begin with `typed`, for shell completion. Uses only an existing connection of the broker, and
 * returns nothing without one.
 */
export async function listRemotePaths(
  context: Context,
  machine: Machine,
  typed: string,
  status: BrokerStatus,
): Promise<string[]> {
  if (!isConnected(status, machine)) return []
  const transport = await context.connect(machine)
  const words = ['sh', '-c', list, 'fleet', typed]
  const { stdout } = await run(transport, words, { signal: context.signal })
  return stdout.split('\0').filter((path) => path.startsWith(typed))
}
