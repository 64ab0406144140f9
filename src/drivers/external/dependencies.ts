import { readFile, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError, messageOf } from '../../errors.ts'
import { type DriverPackage, foldersUpFrom } from './find-package.ts'

/** A package that contains code of a driver: the driver's own package, or a dependency. */
export interface CodePackage {
  /** Name of the package's directory in node_modules, which imports use. */
  readonly name: string
  /** The package's real path. */
  readonly folder: string
  /**
   * Indices of the package's dependencies in the list, keyed by name. Dependencies that are not installed are omitted.
   */
  readonly dependencies: ReadonlyMap<string, number>
}

/** npm's rule for names, scoped or not. The rule excludes names that refer to a path outside node_modules. */
const packageName = /^(?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/i

/**
 * The name of the package that always resolves to the running fleet, even if another package with
 * this name is installed.
 */
const ownName = 'fleet'

/** Maximum number of packages. A driver with a cloud SDK has a few hundred. */
const maxPackages = 2_000

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
      hint: `reinstall the package ${name}`,
      cause: error,
    })
  }
  const { dependencies = {}, optionalDependencies = {}, peerDependencies = {} } = manifest
  const names = [dependencies, optionalDependencies, peerDependencies].flatMap(Object.keys)
  const wrong = names.find((one) => !packageName.test(one))
  if (wrong !== undefined) {
    throw new UserError('failed', `${file}: ${JSON.stringify(wrong)} is not a valid package name`)
  }
  return [...new Set(names)].filter((one) => one !== ownName).toSorted()
}

/**
 * Resolves the package `name` for code in `folder` as Node.js does. Returns its real path;
 * `undefined` if it is not installed.
 */
async function findInstalled(name: string, folder: string): Promise<string | undefined> {
  for (const holder of foldersUpFrom(folder)) {
    const path = join(holder, 'node_modules', name)
    const exists = await stat(join(path, 'package.json')).then(
      (found) => found.isFile(),
      () => false,
    )
    if (exists) return realpath(path)
  }
  return undefined
}

/**
 * Lists a driver's package and all its dependencies, as the package.json files name them and as Node.js would resolve
 * them. The order depends only on the names. Does not run any code.
 */
export async function listCode({ name, folder }: DriverPackage): Promise<readonly CodePackage[]> {
  const found: { name: string; folder: string; dependencies: Map<string, number> }[] = []
  const indices = new Map<string, number>()
  const add = (one: { name: string; folder: string }): number => {
    const key = `${one.name}\n${one.folder}`
    const known = indices.get(key)
    if (known !== undefined) return known
    if (found.length === maxPackages) {
      throw new UserError('failed', `${name} depends on more than ${maxPackages} packages`, {
        hint: 'install the package globally',
      })
    }
    indices.set(key, found.length)
    return found.push({ ...one, dependencies: new Map() }) - 1
  }
  add({ name, folder })
  for (const one of found) {
    // `found` grows during the loop
    for (const dependency of await dependencyNames(one)) {
      const installed = await findInstalled(dependency, one.folder)
      if (installed === undefined) continue
      one.dependencies.set(dependency, add({ name: dependency, folder: installed }))
    }
  }
  return found
}
