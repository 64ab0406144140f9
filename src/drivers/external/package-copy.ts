import { createHash, randomUUID } from 'node:crypto'
import {
  access,
  lstat,
  mkdir,
  readFile,
  readdir,
  readlink,
  realpath,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import { UserError } from '../../errors.ts'
import { type CodePackage, listCode } from './dependencies.ts'
import type { DriverPackage } from './find-package.ts'
import { ignored } from '../../os/trace.ts'

/** A digest of all code in a driver's package. */
export interface PackageDigest {
  /** `sha256:…` of the names and contents of all files in the package and its dependencies. */
  readonly digest: string
  readonly version: string | undefined
  readonly files: number
  /** Number of direct and indirect dependencies. */
  readonly dependencies: number
}

/** Limits on the number and total size of files. All files are read each time. */
const limits = { files: 50_000, bytes: 512 * 2 ** 20 }

/** A file in a package, or a link that stays within the package. */
interface PackageFile {
  /** Path relative to the package's directory, with `/` as the separator. */
  readonly path: string
  readonly content: Buffer | { readonly linkTo: string }
  readonly isExecutable: boolean
}

const withSlashes = (path: string): string => (sep === '/' ? path : path.replaceAll(sep, '/'))

/**
 * Returns the target of a link relative to its directory; `undefined` if it does not exist. Throws kind `failed` if the
 * target is outside the package.
 */
async function readLink(link: string, folder: string): Promise<string | undefined> {
  const target = await realpath(link).catch(ignored('driver', 'resolve a link in the package'))
  if (target === undefined) return undefined
  if (target !== folder && !target.startsWith(`${folder}${sep}`)) {
    throw new UserError(
      'failed',
      `${link} is a link to ${await readlink(link)}, which is outside the package`,
      {
        hint: `replace the link with a copy, or install the package globally`,
      },
    )
  }
  return withSlashes(relative(await realpath(dirname(link)), target)) || '.'
}

/**
 * Lists all files of a package, sorted by name, without .git and without its own node_modules, because the packages in
 * it are found as dependencies.
 */
async function* listFiles(folder: string, below = ''): AsyncGenerator<PackageFile> {
  const entries = await readdir(join(folder, below), { withFileTypes: true })
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`
    if (path === 'node_modules' || entry.name === '.git') continue
    const place = join(folder, path)
    if (entry.isDirectory()) yield* listFiles(folder, path)
    else if (entry.isSymbolicLink()) {
      const linkTo = await readLink(place, folder)
      if (linkTo !== undefined) yield { path, content: { linkTo }, isExecutable: false }
    } else if (entry.isFile()) {
      const { size, mode } = await lstat(place)
      if (size > limits.bytes) throw tooLarge(place)
      yield { path, content: await readFile(place), isExecutable: (mode & 0o100) !== 0 }
    }
  }
}

const tooLarge = (path: string): UserError =>
  new UserError(
    'failed',
    `${path} is too large to be loaded as a driver: the limits are ${limits.files} files and ${limits.bytes / 2 ** 20} MiB`,
    { hint: 'install the package globally' },
  )

/** Called for each file that is read. */
type OnFile = (index: number, item: PackageFile) => Promise<void>

async function readCode(
  code: readonly CodePackage[],
  driverPackage: DriverPackage,
  onFile: OnFile,
): Promise<PackageDigest> {
  const hash = createHash('sha256')
  const addToDigest = (...words: readonly (string | number)[]): void =>
    void hash.update(`${JSON.stringify(words)}\n`)
  let [files, bytes] = [0, 0]
  let version: string | undefined
  for (const [index, { name, folder, dependencies }] of code.entries()) {
    addToDigest('package', index, name)
    for (const [dependency, place] of dependencies) addToDigest('dependency', dependency, place)
    for await (const item of listFiles(folder)) {
      const { path, content, isExecutable } = item
      files += 1
      if (Buffer.isBuffer(content)) {
        bytes += content.length
        const digest = createHash('sha256').update(content).digest('hex')
        addToDigest(isExecutable ? 'program' : 'file', path, digest)
        if (index === 0 && path === 'package.json') version = versionIn(content.toString())
      } else addToDigest('link', path, content.linkTo)
      if (files > limits.files || bytes > limits.bytes) throw tooLarge(driverPackage.folder)
      await onFile(index, item)
    }
  }
  const digest = `sha256:${hash.digest('hex')}`
  return { digest, version, files, dependencies: code.length - 1 }
}

const versionIn = (manifest: string): string | undefined =>
  /"version"\s*:\s*"([\w.+-]{1,64})"/.exec(manifest)?.[1]

/** Reads all code of a driver's package, without running any of it. */
export const digestPackage = async (driverPackage: DriverPackage): Promise<PackageDigest> =>
  readCode(await listCode(driverPackage), driverPackage, async () => {})

/** Returns the path of a package in the copy: `N/node_modules/NAME`, next to the packages that it imports. */
const packagePath = (copy: string, index: number, name: string): string =>
  join(copy, `${index}`, 'node_modules', name)

/**
 * Makes the package in `to` importable for code in `from`. The link is relative, because both are
 * moved together.
 */
async function linkPackage(from: string, to: string): Promise<void> {
  await mkdir(dirname(from), { recursive: true, mode: 0o700 })
  await symlink(relative(dirname(from), to), from, 'dir')
}

/** Returns the directory with the copies for a digest, one for each installation of fleet. */
export const copiesOf = (folder: string, digest: string): string =>
  join(folder, digest.replace(/^sha256:/, '').slice(0, 40))

/** The private directory for copies, and the package of the running fleet. */
export interface CopyTarget {
  readonly folder: string
  readonly fleet: string
}

/**
 * Copies all code of a driver's package into a private directory, in which each package finds only the packages that
 * its package.json names, and `fleet` is the running fleet. The digest is computed from the copied files, so later
 * changes to the original have no effect. Resolves to the directory whose node_modules contains the copy; if the digest
 * differs, creates no copy and resolves to `undefined`.
 */
export async function copyPackage(
  driverPackage: DriverPackage,
  digest: string,
  { folder, fleet }: CopyTarget,
): Promise<string | undefined> {
  const mark = createHash('sha256').update(fleet).digest('hex').slice(0, 12)
  const copy = join(copiesOf(folder, digest), mark)
  const code = await listCode(driverPackage)
  if (await exists(copy)) {
    const read = await readCode(code, driverPackage, async () => {})
    return read.digest === digest ? join(copy, '0') : undefined
  }
  const draft = join(folder, `.${randomUUID()}`)
  try {
    const read = await readCode(code, driverPackage, (index, item) =>
      writePackageFile(packagePath(draft, index, code[index]?.name ?? ''), item),
    )
    if (read.digest !== digest) return undefined
    await linkPackages(draft, code)
    await mkdir(join(draft, 'node_modules'), { mode: 0o700 })
    await symlink(fleet, join(draft, 'node_modules', 'fleet'), 'junction')
    await mkdir(dirname(copy), { recursive: true, mode: 0o700 })
    await rename(draft, copy).catch(async (error: unknown) => {
      if (!(await exists(copy))) throw error // otherwise another process created the copy first
    })
    return join(copy, '0')
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

async function linkPackages(copy: string, code: readonly CodePackage[]): Promise<void> {
  for (const [index, { name, dependencies }] of code.entries()) {
    for (const [dependency, path] of dependencies) {
      // A package that depends on another version of itself finds that version in its own node_modules.
      const from =
        dependency === name
          ? join(packagePath(copy, index, name), 'node_modules', name)
          : packagePath(copy, index, dependency)
      await linkPackage(from, packagePath(copy, path, dependency))
    }
  }
}

async function writePackageFile(
  place: string,
  { path, content, isExecutable }: PackageFile,
): Promise<void> {
  const target = join(place, path)
  await mkdir(dirname(target), { recursive: true, mode: 0o700 })
  if (Buffer.isBuffer(content)) {
    await writeFile(target, content, { flag: 'wx', mode: isExecutable ? 0o700 : 0o600 })
  } else await symlink(content.linkTo, target)
}
