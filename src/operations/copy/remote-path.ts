import { isAbsolute, join } from 'node:path'
import type { Machine } from '../../machine/machine.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'
import { findMachine } from '../inventory/choose-machines.ts'

/** A path on a machine, or on this computer if `machine` is absent. */
export interface CopyPath {
  readonly machine?: Machine
  readonly path: string
}

/** Matches `NAME:PATH`. A local path has a `/` (or `\`) before its first `:`, or no `:`. */
const pattern = /^([^:/\\]+):(.*)$/s

/** Whether `letter:path` is a Windows drive: `C:\x` always is, `c:x` only if no machine has that name. */
const isDrive = (name: string, path: string, { machines }: Inventory, platform: string): boolean =>
  /^[A-Za-z]$/.test(name) &&
  (path.startsWith('\\') ||
    (platform === 'win32' && ![...machines.keys()].some((key) => key === name)))

/**
 * Parses one argument of a copy: `web-1:/etc/motd`, `web-1:` (the home directory), `./file`. A relative local path is
 * below `cwd`. Throws kind `unknown-machine` if the inventory does not have the machine.
 */
export function parseCopyPath(
  text: string,
  inventory: Inventory,
  { cwd, platform = process.platform }: { cwd: string; platform?: string },
): CopyPath {
  const [, name, path = ''] = pattern.exec(text) ?? []
  if (name !== undefined && !isDrive(name, path, inventory, platform)) {
    return { machine: findMachine(inventory, name), path }
  }
  return { path: isAbsolute(text) || name !== undefined ? text : join(cwd, text) }
}
