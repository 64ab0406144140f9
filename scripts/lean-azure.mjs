// Omits the parts of Azure's clients that the Azure driver does not use: the clients have a group of operations for
// each type of resource, such as VPN gateways, and a mapper for each type of data.
import { readFile, readdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const driver = fileURLToPath(new URL('../src/drivers/azure/', import.meta.url))

/** The source text of all files of the driver. */
async function readDriver() {
  const files = await readdir(driver, { recursive: true, withFileTypes: true })
  const texts = files
    .filter((file) => file.isFile())
    .map((file) => readFile(join(file.parentPath, file.name), 'utf8'))
  return (await Promise.all(texts)).join('\n')
}

/** Returns the source text of the constants that a generated module exports, keyed by name. */
function constantsIn(/** @type {string} */ source) {
  const found = source.matchAll(/^export (?:const|let) (\w+) = ([[{][\s\S]*?^[\]}]);/gm)
  return new Map([...found].map(([, name = '', value = '']) => [name, value]))
}

/** Returns the distinct words in the given texts. */
const wordsIn = (/** @type {readonly string[]} */ texts) =>
  new Set(texts.flatMap((text) => text.match(/\w+/g) ?? []))

/**
 * Returns the names of constants that are in `words`, and of all constants to which these refer, directly or
 * indirectly.
 */
function namedBy(
  /** @type {ReadonlyMap<string, string>} */ constants,
  /** @type {ReadonlySet<string>} */ words,
) {
  const named = new Set()
  const add = (/** @type {Iterable<string>} */ names) => {
    for (const name of names) {
      const value = constants.get(name)
      if (value === undefined || named.has(name)) continue
      named.add(name)
      add(wordsIn([value]))
    }
  }
  add(words)
  return named
}

/**
 * Returns the source text of the mappers that the used operations need. `discriminators` refers to all subtypes; only
 * the subtypes of used types are kept. Other mappers become empty objects, because unused parameters refer to them.
 */
async function leanMappers(
  /** @type {string} */ path,
  /** @type {(group: string) => boolean} */ isUsed,
) {
  const esm = join(dirname(path), '..')
  const groups = (await readdir(join(esm, 'operations'))).filter(
    (file) => file.endsWith('.js') && isUsed(basename(file, '.js')),
  )
  const operations = await Promise.all(
    groups.map((file) => readFile(join(esm, 'operations', file), 'utf8')),
  )
  const client = await readFile(join(esm, 'networkManagementClient.js'), 'utf8')
  const parameters = constantsIn(await readFile(join(esm, 'models', 'parameters.js'), 'utf8'))
  const source = await readFile(path, 'utf8')
  const mappers = constantsIn(source)
  const discriminators = mappers.get('discriminators')
  const declared = source.match(/^export (?:const|let) \w+/gm) ?? []
  if (discriminators === undefined || declared.length !== mappers.size) {
    throw new Error(`${path} is written in another way`)
  }
  mappers.delete('discriminators')
  const words = wordsIn([...operations, client])
  const given = [...namedBy(parameters, words)].map((name) => parameters.get(name) ?? '')
  // parameters.js imports the mapper Subnet under the name SubnetMapper
  const used = wordsIn(given.map((text) => text.replaceAll(/\b(\w+)Mapper\b/g, '$1')))
  const lines = [...discriminators.matchAll(/^ {4}"?([\w.]+)"?: (\w+),$/gm)]
  let kept = namedBy(mappers, new Set([...words, ...used]))
  for (let before = -1; before !== kept.size;) {
    before = kept.size
    const subtypes = lines.filter(([, key = '']) => kept.has(key.split('.')[0]))
    kept = namedBy(mappers, new Set([...kept, ...subtypes.map(([, , name = '']) => name)]))
  }
  const constants = [...mappers].map(
    ([name, value]) => `export const ${name} = ${kept.has(name) ? value : '{}'}`,
  )
  const subtypes = lines.filter(([, , name = '']) => kept.has(name)).map(([line]) => line)
  return `${constants.join('\n')}\nexport const discriminators = {\n${subtypes.join('\n')}\n}\n`
}

/**
 * A plugin that omits the groups of operations that no file of the driver mentions, and the types that only they use.
 * The clients create an object for each group, so an omitted group is replaced by an empty one.
 *
 * @type {import('esbuild').Plugin}
 */
export const leanAzure = {
  name: 'lean-azure',
  async setup(bundle) {
    const source = await readDriver()
    const isUsed = (/** @type {string} */ group) => new RegExp(`\\b${group}\\b`).test(source)
    /** @type {(path: string, group: string, exported: RegExp, body: string) => Promise<import('esbuild').OnLoadResult | undefined>} */
    const empty = async (path, group, exported, body) => {
      if (group === 'index' || isUsed(group)) return undefined
      const names = (await readFile(path, 'utf8')).matchAll(exported)
      return { contents: [...names].map(([declaration]) => `${declaration}${body}`).join('\n') }
    }
    bundle.onLoad(
      { filter: /[/\\]arm-network[/\\]dist[/\\]esm[/\\]operations[/\\]\w+\.js$/ },
      ({ path }) => empty(path, basename(path, '.js'), /^export class \w+/gm, ' {}'),
    )
    bundle.onLoad(
      { filter: /[/\\]arm-network[/\\]dist[/\\]esm[/\\]models[/\\]mappers\.js$/ },
      async ({ path }) => ({ contents: await leanMappers(path, isUsed) }),
    )
    bundle.onLoad(
      { filter: /[/\\]arm-compute[/\\]dist[/\\]esm[/\\]classic[/\\]\w+[/\\]index\.js$/ },
      ({ path }) =>
        empty(path, basename(dirname(path)), /^export function \w+/gm, '() { return {} }'),
    )
  },
}
