import { join } from 'node:path'
import { UserError, codeOf } from '../../errors.ts'
import { execProgram } from '../../os/exec-file.ts'
import type { Environment } from '../../os/environment.ts'

/** VBoxManage and its version. */
export interface Program {
  readonly path: string
  readonly major: number
  readonly minor: number
}

/** How to install VirtualBox, keyed by platform. */
const installation: Readonly<Record<string, string>> = {
  darwin: 'install VirtualBox: brew install --cask virtualbox, or download it from virtualbox.org',
  win32: 'install VirtualBox: winget install Oracle.VirtualBox, or download it from virtualbox.org',
  linux:
    'install VirtualBox: sudo apt-get install virtualbox (Ubuntu), sudo dnf install VirtualBox (Fedora with RPM Fusion) or sudo pacman -S virtualbox (Arch); on other systems, download it from virtualbox.org',
}

/** Returns possible paths of VBoxManage, most likely first. A name without a directory is looked up in `PATH`. */
export function candidatePaths(env: Environment, platform: NodeJS.Platform): readonly string[] {
  if (platform === 'win32') {
    const folders = [
      env['VBOX_MSI_INSTALL_PATH'],
      env['VBOX_INSTALL_PATH'],
      join(env['ProgramFiles'] ?? String.raw`C:\Program Files`, 'Oracle', 'VirtualBox'),
    ].filter((folder): folder is string => folder !== undefined && folder !== '')
    const [configured, ...usual] = folders.map((folder) => join(folder, 'VBoxManage.exe'))
    return [...(configured === undefined ? [] : [configured]), 'VBoxManage.exe', ...usual]
  }
  const usual =
    platform === 'darwin'
      ? ['/Applications/VirtualBox.app/Contents/MacOS/VBoxManage', '/usr/local/bin/VBoxManage']
      : ['/usr/bin/VBoxManage', '/opt/VirtualBox/VBoxManage', '/usr/lib/virtualbox/VBoxManage']
  return ['VBoxManage', ...usual]
}

/** Parses the version in the output of `VBoxManage --version`, which may start with warnings. */
export function parseVersion(
  text: string,
): { readonly major: number; readonly minor: number } | undefined {
  const [, major, minor] = /^(\d+)\.(\d+)\.\d+/m.exec(text) ?? []
  return major === undefined ? undefined : { major: Number(major), minor: Number(minor) }
}

/** Returns the output of `--version`; `undefined` if the program does not exist. */
async function queryVersion(path: string, env: Environment): Promise<string | undefined> {
  try {
    return (await execProgram(path, ['--version'], { env, timeout: 60_000 })).stdout
  } catch (error) {
    if (['ENOENT', 'EACCES', 'ENOTDIR'].includes(codeOf(error) ?? '')) return undefined
    throw error
  }
}

/**
 * Finds VBoxManage. Throws kind `unsupported`, with an installation hint, if it is missing or too
 * old.
 */
export async function findVBoxManage(
  env: Environment,
  platform: NodeJS.Platform = process.platform,
): Promise<Program> {
  for (const path of candidatePaths(env, platform)) {
    const version = parseVersion((await queryVersion(path, env)) ?? '')
    if (version === undefined) continue
    const { major, minor } = version
    if (major > 6 || (major === 6 && minor >= 1)) return { path, major, minor }
    throw new UserError(
      'unsupported',
      `VirtualBox ${major}.${minor} is too old: version 6.1 or later is required`,
      {
        hint: installation[platform] ?? 'install VirtualBox from virtualbox.org',
      },
    )
  }
  throw new UserError('unsupported', 'VirtualBox is not installed on this computer', {
    hint: installation[platform] ?? 'install VirtualBox from virtualbox.org',
  })
}
