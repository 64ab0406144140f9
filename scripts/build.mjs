// Bundles the program into dist/, which runs without node_modules.
import { execFileSync } from 'node:child_process'
import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { thirdPartyLicenses } from './third-party-licenses.mjs'

const declarations = fileURLToPath(new URL('tsconfig.declarations.json', import.meta.url))
const typescript = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url))
const outdir = fileURLToPath(new URL('../dist/', import.meta.url))

/**
 * ssh2 speeds its ciphers up with native code where that was built, and does without it
 * elsewhere. The bundle looks for it beside itself under one fixed name.
 */
const nativeCiphers = {
  name: 'native-ciphers',
  setup({ onResolve }) {
    onResolve({ filter: /sshcrypto\.node$/ }, () => ({ path: './sshcrypto.node', external: true }))
    onResolve({ filter: /^cpu-features$/ }, () => ({ path: './cpu-features.node', external: true }))
  },
}

await rm(outdir, { recursive: true, force: true })
await mkdir(outdir, { recursive: true })
const { metafile } = await build({
  entryPoints: {
    main: 'src/main.ts',
    // What drivers outside the project import.
    driver: 'src/drivers/kit.ts',
    'driver-contract': 'src/drivers/conformance/index.ts',
  },
  outdir,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  chunkNames: 'chunks/[name]-[hash]',
  minify: true,
  keepNames: true,
  metafile: true,
  legalComments: 'none', // all of it is in THIRD-PARTY-LICENSES.txt
  plugins: [nativeCiphers],
  // Bundled CommonJS packages count on what CommonJS offers.
  banner: {
    js: [
      "import{createRequire as fleetRequire}from'node:module';",
      'const require=fleetRequire(import.meta.url),',
      '__filename=process.getBuiltinModule("url").fileURLToPath(import.meta.url),',
      '__dirname=process.getBuiltinModule("path").dirname(__filename);',
    ].join(''),
  },
})
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
