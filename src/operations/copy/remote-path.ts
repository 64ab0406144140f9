import { isAbsolute, join } from 'node:path'
import type { Machine } from '../../machine/machine.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'
import { findMachine } from '../inventory/choose-machines.ts'

/** A path of a machine, or of this computer when no machine is named. */
export interface Place {
  readonly machine?: Machine
  readonly path: string
}

/** Reads `NAME:PATH` apart. A path of this computer has a `/` (or `\`) before its first `:`, or none. */
const pattern = /^([^:/\\]+):(.*)$/s

/** Whether `letter:path` is a drive of Windows: `C:\x` always is, `c:x` is where no machine is called so. */
const isDrive = (name: string, path: string, { machines }: Inventory, platform: string): boolean =>
  /^[A-Za-z]$/.test(name) &&
  (path.startsWith('\\') ||
    (platform === 'win32' && ![...machines.keys()].some((key) => key === name)))

/**
 * Reads what a person typed for one end of a copy: `web-1:/etc/motd`, `web-1:` (home), `./file`.
 * A relative path of this computer is below `cwd`. Throws kind `unknown-machine`.
 */
export function parsePlace(
  text: string,
  inventory: Inventory,
  { cwd, platform = process.platform }: { cwd: string; platform?: string },
): Place {
  const [, name, path = ''] = pattern.exec(text) ?? []
  if (name !== undefined && !isDrive(name, path, inventory, platform)) {
    return { machine: findMachine(inventory, name), path }
  }
  return { path: isAbsolute(text) || name !== undefined ? text : join(cwd, text) }
}
