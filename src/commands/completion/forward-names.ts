import type { Fleet } from '../../app/fleet.ts'
import { isMachineName } from '../../machine/name.ts'
import type { Candidate } from './inventory-names.ts'

/** The forwarded ports and sockets, for `fleet forward stop`. */
export async function forwardNames(fleet: Fleet): Promise<Candidate[]> {
  fleet.hosted?.fallBack() // uses the broker's client
  const status = await (await fleet.broker())?.status()
  if (status === undefined || status === 'retired') return []
  return status.forwards.map(({ local, machine, container, port }) => ({
    word: /^127\.0\.0\.1:(\d+)$/.exec(local)?.[1] ?? local,
    description: `${machine} ${container === undefined ? 'port ' : `${container}:`}${port}`,
  }))
}

/** Resolves to the container ports of the machine that an unfinished `fleet forward` command line names. */
export async function forwardablePorts(
  fleet: Fleet,
  line: readonly string[],
): Promise<Candidate[]> {
  const { machines } = await (await fleet.inventory()).read()
  const name = line.slice(1, -1).find((word) => isMachineName(word) && machines.has(word))
  const machine = name !== undefined && isMachineName(name) ? machines.get(name) : undefined
  if (machine === undefined) return []
  const { containerPorts } = await import('./container-and-image-names.ts')
  return containerPorts(fleet, machine)
}
