import { resolve } from 'node:path'

/** Resolves a path below the directory `root`. Throws for any other path, to protect this computer's files. */
export function pathBelow(root: string, path: string): string {
  const full = resolve(root, path)
  if (root.length < 5 || !full.startsWith(`${root}/`)) throw new Error(`${path} leaves ${root}`)
  return full
}
