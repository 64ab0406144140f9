import type { Machine } from '../../machine/machine.ts'
import { foldNames } from '../../ui/fold-names.ts'
import type { Invocation } from '../command.ts'

/**
 * Resolves to the machines on which a Docker command runs. If several are chosen, those without Docker are skipped with
 * a message.
 */
export async function chooseEngines({
  fleet,
  io,
  targets,
  format,
}: Pick<Invocation, 'fleet' | 'io' | 'targets' | 'format'>): Promise<Machine[]> {
  const { chooseHosts, choosesMany, withEngines } =
    await import('../../operations/inventory/choose-machines.ts')
  const hosts = await chooseHosts(fleet, targets)
  if (!choosesMany(targets)) return [...hosts]
  const machines = withEngines(hosts)
  const others = hosts.filter((host) => !machines.includes(host)).map(({ name }) => name)
  if (others.length > 0 && !format.json) {
    io.stderr.write(`skipped machines without Docker (engine: none): ${foldNames(others)}\n`)
  }
  return machines
}
