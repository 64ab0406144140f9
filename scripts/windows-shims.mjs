// Run by npm when the package is installed. On Windows it puts shims of fleet's own in place of the ones that npm has made,
// which run the program with sh; they start Node.js so that it takes no option from fleet's arguments (launcher.sh says why).
// What cmd.exe passes on cannot be changed word by word there: only "--" goes before it.
import { writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path/win32'
import { env, platform } from 'node:process'
import { fileURLToPath } from 'node:url'

const lines = (/** @type {string[]} */ ...all) => all.map((line) => `${line}\r\n`).join('')

/** Shims that run a program of Node.js, by the ending of their names. */
export function windowsShims(/** @type {string} */ program) {
  const quoted = `'${program.replaceAll("'", "''")}'`
  return {
    '.cmd': lines('@ECHO OFF', `node -- "${program.replaceAll('%', '%%')}" %*`),
    '.ps1': lines(
      '$words = @($args | ForEach-Object { if ("$_" -match \'^[-:]\') { ":$_" } else { "$_" } })',
      `if ($MyInvocation.ExpectingInput) { $input | & node -- ${quoted} ':' @words }`,
      `else { & node -- ${quoted} ':' @words }`,
      'exit $LASTEXITCODE',
    ),
  }
}

/** Where npm has put its shims for the package in `folder`; undefined where it makes none. */
export function shimFolder(
  /** @type {string} */ folder,
  /** @type {Readonly<Record<string, string | undefined>>} */ {
    npm_config_global,
    npm_config_prefix,
  },
) {
  if (npm_config_global === 'true') return npm_config_prefix
  const holder = dirname(folder)
  return basename(holder) === 'node_modules' ? join(holder, '.bin') : undefined
}

if (platform === 'win32') {
  const folder = dirname(dirname(fileURLToPath(import.meta.url)))
  const target = shimFolder(folder, env)
  for (const [ending, text] of Object.entries(windowsShims(join(folder, 'dist', 'main.js'))))
    if (target !== undefined) writeFileSync(join(target, `fleet${ending}`), text)
}
