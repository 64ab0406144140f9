import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The directory of this checkout. */
export const checkout = fileURLToPath(new URL('..', import.meta.url))

function readJson(/** @type {string} */ name) {
  const file = `${checkout}${name}`
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined
}

/** Whether node_modules contains the packages in package-lock.json. */
function isInstalled() {
  const { packages: locked } = readJson('package-lock.json')
  const installed = readJson('node_modules/.package-lock.json')?.packages ?? {}
  return Object.entries(locked).every(
    ([path, { version, optional }]) =>
      path === '' || (installed[path] ? installed[path].version === version : optional),
  )
}

/** Runs npm, and prints its output if it fails. Returns whether it succeeded. */
function npm(/** @type {string[]} */ ...args) {
  const { status, stdout, stderr } = spawnSync('npm', args, {
    cwd: checkout,
    encoding: 'utf8',
    shell: process.platform === 'win32',
  })
  if (status !== 0) console.error(`npm ${args.join(' ')} failed:\n${stdout}${stderr}`)
  return status === 0
}

/** Updates node_modules to match package-lock.json, if necessary. Returns whether that succeeded; prints any error. */
export const installDependencies = () => isInstalled() || npm('ci', '--no-audit', '--no-fund')

/** Builds the program into dist/. Returns whether that succeeded; prints any error. */
export const buildProgram = () => npm('run', 'build')
