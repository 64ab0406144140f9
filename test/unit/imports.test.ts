import { readFile, readdir } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'

const root = path.join(import.meta.dirname, '../../src')

const leaf = ['os', 'errors']
const adapters = [
  'disk-images',
  'docker',
  'drivers',
  'engine',
  'provision',
  'state',
  'transport',
] as const
const core = ['machine', ...leaf]

/** Directories of src/ from the highest layer to the lowest, and the other layers that each of them can import. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  cli: ['app', 'commands', 'operations', 'broker', 'ui', ...adapters, ...core],
  commands: ['app', 'operations', 'broker', 'ui', ...adapters, ...core],
  app: ['operations', 'broker', 'ui', ...adapters, ...core],
  operations: ['broker', ...adapters, ...core],
  broker: ['transport', 'state', ...core],
  ui: core,
  ...Object.fromEntries(adapters.map((name) => [name, core])),
  machine: leaf,
  os: ['errors'],
}

/** Maximum number of files in a directory. */
const mostFiles = 20

/** Packages that may be imported in only one place. */
const onlyIn: Readonly<Record<string, RegExp>> = {
  ssh2: /^transport\/(?:open)?ssh\//,
  'log-update': /^ui\/progress\/live\.ts$/,
  inquirer: /^ui\/prompt\.ts$/,
  commander: /^cli\/program\.ts$/,
  yaml: /^state\/|^operations\/compose\/scan-compose-file\.ts$/,
  '@aws-sdk': /^drivers\/aws\//,
  '@azure': /^drivers\/azure\//,
  zod: /^(machine|drivers|state)\//,
}

interface Import {
  readonly file: string
  readonly target: string
}

async function importsOf(file: string): Promise<Import[]> {
  const source = await readFile(path.join(root, file), 'utf8')
  const found = source.matchAll(/(?:\bfrom|\bimport\(|^import)\s*['"]([^'"]+)['"]/gm)
  return [...found].map(([, target = '']) => ({ file, target }))
}

const files = (await readdir(root, { recursive: true })).filter((file) => file.endsWith('.ts'))
const imports = (await Promise.all(files.map(importsOf))).flat()

const layerOf = (file: string): string => file.split('/')[0]?.replace(/\.ts$/, '') ?? ''

/** Files outside `cli` that can refer to process.env. */
const withProcessEnv = new Set([
  'drivers/aws/api/clients.ts', // writes a variable that the SDK reads
  'drivers/conformance/definition-cases.ts', // runs within a driver's tests
  'drivers/conformance/harness.ts',
  'transport/openssh/questions.ts', // contains the code of another program
])

test('only cli reads the environment, and passes it on', async () => {
  const found = await Promise.all(
    files.map(async (file) => {
      const source = await readFile(path.join(root, file), 'utf8')
      const code = source.replaceAll(/\/\*.*?\*\//gs, '').replaceAll(/\/\/.*$/gm, '')
      return /\bprocess\.env\b|\benv\b[^\n;]*\}\s*=\s*process\b/.test(code) ? [file] : []
    }),
  )
  const elsewhere = found.flat().filter((file) => !file.startsWith('cli/'))
  expect(elsewhere.toSorted()).toEqual([...withProcessEnv].toSorted())
})

describe('the layers of src', () => {
  test.each(Object.entries(allowed))('%s imports only from allowed layers', (layer, lower) => {
    const wrong = imports
      .filter(({ file, target }) => file.startsWith(`${layer}/`) && target.startsWith('.'))
      .map(({ file, target }) => ({ file, to: path.join(path.dirname(file), target) }))
      .filter(({ to }) => !to.startsWith('..') && to.endsWith('.ts'))
      .filter(({ to }) => layerOf(to) !== layer && !lower.includes(layerOf(to)))
    expect(wrong).toEqual([])
  })

  test('every directory of src is a known layer, and only the entry points are outside them', () => {
    const layers = files.filter((file) => file.includes('/')).map(layerOf)
    expect([...new Set(layers)].filter((layer) => !(layer in allowed))).toEqual([])
    expect(files.filter((file) => !file.includes('/')).toSorted()).toEqual(['errors.ts', 'main.ts'])
  })

  test('no directory has too many files', () => {
    const folders = files.map((file) => path.dirname(file))
    const tooLarge = folders.filter(
      (folder) => folders.filter((other) => other === folder).length > mostFiles,
    )
    expect([...new Set(tooLarge)]).toEqual([])
  })
})

test.each(Object.entries(onlyIn))('%s is imported in one place', (name, place) => {
  const importers = imports.filter(({ target }) => target === name || target.startsWith(`${name}/`))
  expect(importers.filter(({ file }) => !place.test(file))).toEqual([])
  expect(importers.length).toBeGreaterThan(0)
})
