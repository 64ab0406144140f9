import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { tmpdir } from 'node:os'
import { afterAll, expect, test } from 'vitest'

type Mappers = Readonly<Record<string, unknown>>

const client = dirname(fileURLToPath(import.meta.resolve('@azure/arm-network')))
const folder = await mkdtemp(join(tmpdir(), 'fleet-lean-'))
afterAll(() => rm(folder, { recursive: true, force: true }))

type Handle = (file: {
  readonly path: string
}) => Promise<{ readonly contents: string } | undefined>

/** The part of a bundler plugin's interface that this test uses. */
interface Plugin {
  setup(bundle: {
    onLoad(options: { readonly filter: RegExp }, handle: Handle): void
  }): Promise<void>
}

const script = new URL('../../../../scripts/lean-azure.mjs', import.meta.url).href
const { leanAzure } = (await import(script)) as { leanAzure: Plugin }
const handlers: { readonly filter: RegExp; readonly handle: Handle }[] = []
await leanAzure.setup({ onLoad: ({ filter }, handle) => void handlers.push({ filter, handle }) })

/** Resolves to the contents with which the plugin replaces a file, or to undefined if it keeps the file. */
async function replaced(path: string): Promise<string | undefined> {
  const found = handlers.find(({ filter }) => filter.test(path))
  return (await found?.handle({ path }))?.contents
}

/** Returns the names of the types in a mapper, which the client uses to look the types up. */
function namesIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, item]: [string, unknown]) =>
    (key === 'className' || key === 'uberParent') && typeof item === 'string'
      ? [item]
      : namesIn(item),
  )
}

test('the bundle has all types that its operations refer to', async () => {
  const whole = (await import(pathToFileURL(join(client, 'models/mappers.js')).href)) as Mappers
  const text = await replaced(join(client, 'models/mappers.js'))
  await writeFile(join(folder, 'mappers.mjs'), text ?? '')
  const lean = (await import(pathToFileURL(join(folder, 'mappers.mjs')).href)) as Mappers
  const file = pathToFileURL(join(client, 'models/parameters.js')).href
  const parameters = (await import(file)) as Mappers
  const waiting: string[] = []
  const groups: string[] = []
  for (const name of await readdir(join(client, 'operations'))) {
    const path = join(client, 'operations', name)
    if (!name.endsWith('.js') || name === 'index.js') continue
    if ((await replaced(path)) !== undefined) continue
    groups.push(name)
    const source = await readFile(path, 'utf8')
    for (const [, mapper = ''] of source.matchAll(/\bMappers\.(\w+)/g)) waiting.push(mapper)
    for (const [, parameter = ''] of source.matchAll(/\bParameters\.(\w+)/g)) {
      waiting.push(...namesIn(parameters[parameter]))
    }
  }
  expect(groups).toEqual(expect.arrayContaining(['networkInterfaces.js', 'virtualNetworks.js']))
  const seen = new Set<string>()
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (seen.has(name) || !(name in whole)) continue
    seen.add(name)
    expect({ name, mapper: lean[name] }).toEqual({ name, mapper: whole[name] })
    waiting.push(...namesIn(whole[name]))
  }
  expect(seen.size).toBeGreaterThan(100)
  expect(groups.length).toBeLessThan(30)
})
