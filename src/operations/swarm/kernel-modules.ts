import type { Machine } from '../../machine/machine.ts'
import { run } from '../../transport/run.ts'
import type { Context } from '../context.ts'

/**
 * The Linux kernel modules that nodes need in addition to those that every engine needs: IPVS for the virtual IP
 * addresses of services and the routing mesh, and VXLAN for overlay networks.
 */
const swarmModules = ['ip_vs', 'vxlan'] as const

/** The name of one of {@link swarmModules}. */
export type SwarmModule = (typeof swarmModules)[number]

/**
 * Prints the modules that are not available. A module that is loaded or built into the kernel has a directory in
 * /sys/module, because it has parameters; others are loadable if they are in the lists of depmod(8) or of built-in
 * modules.
 */
const script = `lists=/lib/modules/$(uname -r)
for module in ${swarmModules.join(' ')}; do
  [ -d /sys/module/$module ] || grep -qs "/$module\\.ko" "$lists/modules.dep" "$lists/modules.builtin" || echo $module
done`

/** Parses the output of {@link script}. */
const parseModules = (output: string): readonly SwarmModule[] => {
  const lines = new Set(output.split('\n'))
  return swarmModules.filter((module) => lines.has(module))
}

/** Finds the modules that nodes need but that a host's kernel does not have. */
export async function findMissingModules(
  context: Context,
  machine: Machine,
  signal: AbortSignal,
): Promise<readonly SwarmModule[]> {
  const transport = await context.connect(machine)
  const { stdout } = await run(transport, ['sh', '-c', script], { signal })
  return parseModules(stdout)
}
