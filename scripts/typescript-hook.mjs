// A module hook (node:module, register) that lets Node.js import TypeScript: it removes the types from each file.
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { transform } from 'esbuild'

/** @type {import('node:module').LoadHook} */
export async function load(url, context, nextLoad) {
  if (!url.startsWith('file:') || !url.endsWith('.ts')) return nextLoad(url, context)
  const sourcefile = fileURLToPath(url)
  const { code } = await transform(await readFile(sourcefile, 'utf8'), {
    loader: 'ts',
    target: 'node20.19',
    sourcemap: 'inline',
    sourcefile,
  })
  return { format: 'module', source: code, shortCircuit: true }
}
