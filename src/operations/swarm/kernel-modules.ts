import type { Machine } from '../../machine/machine.ts'
import { run } from '../../transport/run.ts'
import type { Context } from '../context.ts'

/**
 * The kernel modules of Linux that nodes need besides those of every engine: virtual addresses of services and the routing mesh are
 * IPVS, overlay networks are VXLAN.
 */
const swarmModules = ['ip_vs', 'vxlan'] as const

/** One of {@link swarmModules}. */
export type SwarmModule = (typeof swarmModules)[number]

/**
 * Prints the modules that are neither loaded nor built into the kernel (a directory in /sys/module, which both of them have because
 * they have parameters) nor loadable (the lists of depmod(8), and that of built-in modules).
 */
const script = `lists=/lib/modules/$(uname -r)
for module in ${swarmModules.join(' ')}; do
  [ -d /sys/module/$module ] || grep -qs "/$module\\.ko" "$lists/modules.dep" "$lists/modules.builtin" || echo $module
done`

/** Reads what {@link script} prints. */
const parseModules = (output: string): readonly SwarmModule[] => {
  const lines = new Set(output.split('\n'))
  return swarmModules.filter((module) => lines.has(module))
}

/** Asks a host which modules that nodes need its kernel lacks. */
export async function findMissingModules(
  context: Context,
  machine: Machine,
  signal: AbortSignal,
): Promise<readonly SwarmModule[]> {
  const transport = await context.connect(machine)
  const { stdout } = await run(transport, ['sh', '-c', script], { signal })
  return parseModules(stdout)
}
