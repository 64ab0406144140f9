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

/** Files that are about to move into folders. */
const loose =
  'argv ask-broker below broken-pipe broker cli fleet hosted-command hosted-input load-code lock made-once process proxy reach-machines shell-quote socket-folder socket-path start'.split(
    ' ',
  )

/** The folders of src/, from the top down, and what each may import besides itself. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  cli: ['app', 'commands', 'operations', 'broker', 'ui', ...adapters, ...core, ...loose],
  commands: ['app', 'operations', 'broker', 'ui', ...adapters, ...core, ...loose],
  app: ['operations', 'broker', 'ui', ...adapters, ...core, ...loose],
  operations: ['broker', ...adapters, ...core, ...loose],
  broker: ['transport', 'state', ...core, ...loose],
  ui: [...core, ...loose],
  ...Object.fromEntries(adapters.map((name) => [name, [...core, ...loose]])),
  machine: [...leaf, ...loose],
  os: ['errors'],
}

/** Packages that one place alone may import. */
const onlyIn: Readonly<Record<string, RegExp>> = {
  ssh2: /^transport\/ssh\//,
  'log-update': /^ui\/progress\/live\.ts$/,
  '@inquirer/prompts': /^ui\/prompt\.ts$/,
  commander: /^cli\.ts$/,
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

describe('imports look only down', () => {
  test.each(Object.entries(allowed))('%s', (layer, below) => {
    const wrong = imports
      .filter(({ file, target }) => file.startsWith(`${layer}/`) && target.startsWith('.'))
      .map(({ file, target }) => ({ file, to: path.join(path.dirname(file), target) }))
      .filter(({ to }) => !to.startsWith('..') && to.endsWith('.ts'))
      .filter(({ to }) => layerOf(to) !== layer && !below.includes(layerOf(to)))
    expect(wrong).toEqual([])
  })

  test('every folder of src has a rule', () => {
    const layers = files.filter((file) => file.includes('/')).map(layerOf)
    expect([...new Set(layers)].filter((layer) => !(layer in allowed))).toEqual([])
  })
})

test.each(Object.entries(onlyIn))('%s is imported in one place', (name, place) => {
  const importers = imports.filter(({ target }) => target === name || target.startsWith(`${name}/`))
  expect(importers.filter(({ file }) => !place.test(file))).toEqual([])
  expect(importers.length).toBeGreaterThan(0)
})
