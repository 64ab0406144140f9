import { chmod, copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { runProgram } from '../lab/process.ts'

/** A Debian package to build. */
export interface Package {
  readonly name: string
  readonly version: string
  readonly depends?: string
  /** Executable files, keyed by path: the content, or the file to copy. */
  readonly programs?: Readonly<Record<string, string | { readonly from: string }>>
  readonly files?: Readonly<Record<string, string>>
  /** Maintainer scripts, keyed by name, such as `postinst`. */
  readonly scripts?: Readonly<Record<string, string>>
}

/** Resolves to this computer's Debian architecture, such as `amd64`. */
export const debianArchitecture = async (): Promise<string> =>
  (await runProgram(['dpkg', '--print-architecture'])).trim()

/** Returns the control file of a package (deb-control(5)). */
export const controlOf = (
  { name, version, depends }: Package,
  architecture: string,
): string => `Package: ${name}
Version: ${version}
Architecture: ${architecture}
Maintainer: The lab <lab@example.com>
${depends === undefined ? '' : `Depends: ${depends}\n`}Description: ${name} of the lab
`

/** Builds the package `file`, without compression. */
export async function buildPackage(
  made: Package,
  architecture: string,
  file: string,
): Promise<void> {
  const { programs = {}, files = {}, scripts = {} } = made
  await mkdir(dirname(file), { recursive: true })
  const folder = await mkdtemp(`${file}-`)
  const put = async (path: string, content: string | { from: string }, mode: number) => {
    const target = join(folder, path)
    await mkdir(dirname(target), { recursive: true })
    if (typeof content === 'string') await writeFile(target, content)
    else await copyFile(content.from, target)
    await chmod(target, mode)
  }
  await chmod(folder, 0o755)
  await put('DEBIAN/control', controlOf(made, architecture), 0o644)
  for (const [name, text] of Object.entries(scripts)) await put(`DEBIAN/${name}`, text, 0o755)
  for (const [path, text] of Object.entries(files)) await put(path, text, 0o644)
  for (const [path, content] of Object.entries(programs)) await put(path, content, 0o755)
  await runProgram(['dpkg-deb', '-Znone', '--root-owner-group', '--build', folder, file])
  await rm(folder, { recursive: true })
}
