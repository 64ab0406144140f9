import { readFile, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError, messageOf } from '../../errors.ts'
import { type DriverPackage, foldersUpFrom } from './find-package.ts'

/** A package that a driver's code consists of: the driver's own, or one that it depends on. */
export interface CodePackage {
  /** What it is imported as: the folder's name under node_modules. */
  readonly name: string
  /** Its real path. */
  readonly folder: string
  /** By name, the places of its dependencies in the list. One that is not installed is missing. */
  readonly dependencies: ReadonlyMap<string, number>
}

/** npm's rule for names, scoped or not: nothing that could lead out of node_modules. */
const packageName = /^(?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/i

/** Always the running fleet, whatever package of that name is installed. */
const ownName = 'fleet'

/** In packages; a driver with an SDK of a cloud has some hundred. */
const mostPackages = 2_000

interface Manifest {
  readonly dependencies?: object
  readonly optionalDependencies?: object
  readonly peerDependencies?: object
}

async function dependencyNames({ name, folder }: { name: string; folder: string }) {
  const file = join(folder, 'package.json')
  let manifest: Manifest
  try {
    manifest = (JSON.parse(await readFile(file, 'utf8')) ?? {}) as Manifest
  } catch (error) {
    throw new UserError('failed', `cannot read ${file}: ${messageOf(error)}`, {
      hint: `install ${name} again`,
      cause: error,
    })
  }
  const { dependencies = {}, optionalDependencies = {}, peerDependencies = {} } = manifest
  const names = [dependencies, optionalDependencies, peerDependencies].flatMap(Object.keys)
  const wrong = names.find((one) => !packageName.test(one))
  if (wrong !== undefined) {
    throw new UserError('failed', `${file}: ${JSON.stringify(wrong)} is not the name of a package`)
  }
  return [...new Set(names)].filter((one) => one !== ownName).toSorted()
}

/** Where Node.js finds the package `name` for code in `folder`. */
async function findInstalled(name: string, folder: string): Promise<string | undefined> {
  for (const holder of foldersUpFrom(folder)) {
    const path = join(holder, 'node_modules', name)
    const isThere = await stat(join(path, 'package.json')).then(
      (found) => found.isFile(),
      () => false,
    )
    if (isThere) return realpath(path)
  }
  return undefined
}

/**
 * The package of a driver, first, and all that it depends on, as package.json files name them and as Node.js would find
 * them. The order depends on nothing but these names. Runs nothing.
 */
export async function findCode({ name, folder }: DriverPackage): Promise<readonly CodePackage[]> {
  const found: { name: string; folder: string; dependencies: Map<string, number> }[] = []
  const places = new Map<string, number>()
  const add = (one: { name: string; folder: string }): number => {
    const key = `${one.name}\n${one.folder}`
    const known = places.get(key)
    if (known !== undefined) return known
    if (found.length === mostPackages) {
      throw new UserError('failed', `${name} depends on more than ${mostPackages} packages`, {
        hint: 'install the package globally',
      })
    }
    places.set(key, found.length)
    return found.push({ ...one, dependencies: new Map() }) - 1
  }
  add({ name, folder })
  for (const one of found) {
    // grows meanwhile
    for (const dependency of await dependencyNames(one)) {
      const installed = await findInstalled(dependency, one.folder)
      if (installed === undefined) continue
      one.dependencies.set(dependency, add({ name: dependency, folder: installed }))
    }
  }
  return found
}
