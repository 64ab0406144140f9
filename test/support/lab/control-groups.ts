import { existsSync, readdirSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'

const mountPoint = '/sys/fs/cgroup'

/** Returns the directories of a control group: one in version 2, one per controller in version 1 (cgroups(7)). */
export const controlGroupFolders = (name: string): string[] =>
  [mountPoint, ...readdirSync(mountPoint).map((controller) => join(mountPoint, controller))]
    .map((folder) => join(folder, name))
    .filter((folder) => existsSync(folder))

function removeTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) removeTree(join(folder, entry.name))
  rmdirSync(folder)
}

/** Removes the control groups that engines created under a name. They must not contain processes. */
export function removeControlGroups(name: string): void {
  for (const folder of controlGroupFolders(name)) removeTree(folder)
}
