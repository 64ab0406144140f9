// Run by npm when the package is installed. On Windows, it replaces npm's shims, which run the program with sh, with
// fleet's own shims, which keep Node.js from reading options in fleet's arguments (see launcher.sh). A .cmd file cannot
// change its arguments one by one: it only puts "--" before them.
import { writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path/win32'
import { env, platform } from 'node:process'
import { fileURLToPath } from 'node:url'

const lines = (/** @type {string[]} */ ...all) => all.map((line) => `${line}\r\n`).join('')

/** Returns the contents of shims that run a Node.js program, keyed by file name extension. */
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

/** Returns the directory of npm's shims for the package in `folder`; undefined if npm does not create any. */
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
