import { XMLBuilder, XMLParser } from 'fast-xml-parser'

/** An element: the contents of its children, keyed by name. Lists are `{ item: [...] }`, as EC2 writes them. */
export interface Tree {
  [name: string]: string | Tree | Tree[] | undefined
}

const parser = new XMLParser({
  ignoreDeclaration: true,
  parseTagValue: false,
  isArray: (name) => name === 'item',
})
const builder = new XMLBuilder({ ignoreAttributes: false, suppressEmptyNode: true })

/** Parses a response. Returns the root element's name and contents. */
export function parseXml(text: string): { readonly root: string; readonly tree: Tree } {
  const [[root, tree] = ['', {}]] = Object.entries(parser.parse(text) as Record<string, Tree>)
  return { root, tree }
}

/** Writes a document with EC2's namespace. */
export const writeXml = (root: string, tree: Tree, namespace = ec2Namespace): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n${builder.build({ [root]: { ...(namespace && { '@_xmlns': namespace }), ...tree } })}`

const ec2Namespace = 'http://ec2.amazonaws.com/doc/2016-11-15/'

/** Returns the text of a child, or `undefined` if there is none. */
export function textOf(tree: Tree | undefined, name: string): string | undefined {
  const child = tree?.[name]
  return typeof child === 'string' && child !== '' ? child : undefined
}

/** Returns the child `name`, if it has children itself. */
export function childOf(tree: Tree | undefined, name: string): Tree | undefined {
  const child = tree?.[name]
  return typeof child === 'object' && !Array.isArray(child) ? child : undefined
}

/** Returns the items of a list, which is empty if it is absent. */
export function itemsOf(tree: Tree | undefined, name: string): Tree[] {
  const items = childOf(tree, name)?.['item']
  return Array.isArray(items) ? items : []
}

/** Returns a list of `items`. */
export const listOf = (items: readonly Tree[]): Tree | string =>
  items.length > 0 ? { item: [...items] } : ''

/** Returns the tags of a resource. */
export const tagsOf = (tree: Tree): Record<string, string> =>
  Object.fromEntries(
    itemsOf(tree, 'tagSet').map((tag) => [textOf(tag, 'key') ?? '', textOf(tag, 'value') ?? '']),
  )
