// Bundles the program into dist/, which runs without node_modules.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { build, transform } from 'esbuild'
import { leanAws } from './lean-aws.mjs'
import { leanAzure } from './lean-azure.mjs'
import { thirdPartyLicenses } from './third-party-licenses.mjs'

const declarations = fileURLToPath(new URL('tsconfig.declarations.json', import.meta.url))
const typescript = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url))
const { version } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8'))
const outdir = fileURLToPath(new URL('../dist/', import.meta.url))

/**
 * ssh2 uses native code for faster ciphers if that code was compiled during installation. The bundle looks for it in
 * its own directory, under a fixed name.
 */
const nativeCiphers = {
  name: 'native-ciphers',
  setup({ onResolve }) {
    onResolve({ filter: /sshcrypto\.node$/ }, () => ({ path: './sshcrypto.node', external: true }))
    onResolve({ filter: /^cpu-features$/ }, () => ({ path: './cpu-features.node', external: true }))
  },
}

/** Omits inquirer's editor prompt, which fleet does not use, along with half a megabyte of character sets. */
const noEditorPrompt = {
  name: 'no-editor-prompt',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^@inquirer\/editor$/ }, ({ path }) => ({ path, namespace: 'no-editor' }))
    onLoad({ filter: /^/, namespace: 'no-editor' }, () => ({
      contents: 'export default undefined',
    }))
  },
}

/**
 * Omits the parts of ssh2 that fleet does not use and that take time to load: its server, its HTTP agents, and, if
 * there is native code, the WebAssembly of a cipher.
 */
const leanSsh2 = {
  name: 'lean-ssh2',
  setup({ onLoad }) {
    onLoad({ filter: /[/\\]ssh2[/\\]lib[/\\](?:server|http-agents)\.js$/ }, () => ({
      contents: 'module.exports = {}',
    }))
    onLoad({ filter: /[/\\]ssh2[/\\]lib[/\\]protocol[/\\]crypto\.js$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8')
      const begin = 'try {\n        POLY1305_WASM_MODULE ='
      if (!source.includes(begin)) throw new Error(`${path} begins WebAssembly elsewhere`)
      return {
        contents: source.replace(begin, `if (binding) return resolve()\n      ${begin}`),
      }
    })
  },
}

/** Keeps the loader of the rest of the program in a separate file. Commands in the broker do not need that file. */
const apart = {
  name: 'apart',
  setup({ onResolve }) {
    onResolve({ filter: /^\.\/code-cache\.ts$/ }, () => ({
      path: './chunks/code-cache.js',
      external: true,
    }))
  },
}

const fileUrl = 'const fleetFileUrl=require("node:url").pathToFileURL(__filename).href;'

/**
 * Converts a file of the bundle to CommonJS, which Node.js loads faster than ES modules. It is a separate step because
 * esbuild only splits ES modules into files. Dynamic imports of the bundle's files and of Node.js become calls to
 * `require`; others, such as imports of driver packages, remain imports.
 */
async function makeCommonJs(/** @type {string} */ file) {
  const { code } = await transform(await readFile(file, 'utf8'), {
    format: 'cjs',
    platform: 'node',
    target: 'node20.19',
    minify: true,
  })
  const required = code.replaceAll(
    /\bimport\(("(?:\.|node:)[^"]+")\)/g,
    'Promise.resolve().then(()=>require($1))',
  )
  const needsUrl = /\bfleetFileUrl\b/.test(required)
  await writeFile(file, `"use strict";${needsUrl ? fileUrl : ''}${required}`)
}

/**
 * Makes a file of the bundle executable by putting the launcher before it: a shell runs the launcher and reads no
 * further; for Node.js, the launcher is a comment. The second line is code for both: `set -f` keeps the shell from
 * expanding the pattern in the third line to file names.
 */
async function makeProgram(/** @type {string} */ file) {
  const launcher = await readFile(new URL('launcher.sh', import.meta.url), 'utf8')
  const [hashbang = '', ...script] = launcher.split('\n').filter((line) => !/^\s*#(?!!)/.test(line))
  const lines = [hashbang, '":" //; set -f', '":" /* the launcher', ...script, 'exit */']
  await writeFile(file, `${lines.join('\n')}\n${await readFile(file, 'utf8')}`)
  await chmod(file, 0o755)
}

/** The placeholder in the program for the name of the build. */
const buildMark = 'name of this build'

/** Names the build after a digest of its files: a broker and the code cache only serve commands of the same build. */
async function nameBuild(/** @type {string[]} */ files, /** @type {string} */ named) {
  const digest = createHash('sha256')
  for (const file of files.toSorted()) digest.update(await readFile(file))
  const text = await readFile(named, 'utf8')
  await writeFile(named, text.replaceAll(buildMark, digest.digest('hex').slice(0, 16)))
}

await rm(outdir, { recursive: true, force: true })
await mkdir(outdir, { recursive: true })
/** @type {import('esbuild').BuildOptions & { metafile: true }} */
const common = {
  outdir,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  minify: true,
  keepNames: true,
  metafile: true,
  legalComments: 'none', // all of it is in THIRD-PARTY-LICENSES.txt
  plugins: [nativeCiphers, leanSsh2, leanAws, leanAzure, noEditorPrompt],
}
const parts = await build({
  ...common,
  mainFields: ['module', 'main'],
  entryPoints: {
    // Loaded by main.ts.
    'chunks/process': 'src/cli/process.ts',
    'chunks/broker': 'src/cli/run-broker.ts',
    // Imported by driver packages.
    driver: 'src/drivers/sdk.ts',
    'driver-contract': 'src/drivers/conformance/index.ts',
  },
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
  // The files become CommonJS below, which has different names for the location of a file.
  define: {
    'import.meta.url': 'fleetFileUrl',
    'import.meta.filename': '__filename',
    'import.meta.dirname': '__dirname',
  },
})
// Bundled directly as CommonJS, in one file: a module only runs, and loads its imports, when it is required.
const main = await build({
  ...common,
  format: 'cjs',
  keepNames: false,
  entryPoints: { main: 'src/main.ts' },
  define: {
    fleetBuild: JSON.stringify(buildMark),
    fleetVersion: JSON.stringify(version),
    'import.meta.filename': '__filename',
  },
  plugins: [apart],
})
const loader = await build({
  ...common,
  entryPoints: { 'chunks/code-cache': 'src/cli/code-cache.ts' },
})
const metafile = {
  inputs: { ...parts.metafile.inputs, ...main.metafile.inputs, ...loader.metafile.inputs },
  outputs: { ...parts.metafile.outputs, ...main.metafile.outputs, ...loader.metafile.outputs },
}
const files = Object.keys(metafile.outputs)
await Promise.all(files.map(makeCommonJs))
await nameBuild(files, `${outdir}/main.js`)
await makeProgram(`${outdir}/main.js`)
await writeFile(`${outdir}/package.json`, '{ "type": "commonjs" }\n')
await writeFile(`${outdir}/meta.json`, JSON.stringify(metafile))
await writeFile(
  `${outdir}/THIRD-PARTY-LICENSES.txt`,
  await thirdPartyLicenses(Object.keys(metafile.inputs)),
)
execFileSync(process.execPath, [typescript, '-p', declarations], { stdio: 'inherit' })
await copyFile(
  new URL('../node_modules/ssh2/lib/protocol/crypto/build/Release/sshcrypto.node', import.meta.url),
  `${outdir}/chunks/sshcrypto.node`,
).catch(() => process.stderr.write('build: no native ciphers here; ssh2 does without them\n'))
