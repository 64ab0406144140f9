// Lets esbuild omit the parts of EC2's client that the AWS driver does not use: the client contains a schema for each
// EC2 data type.
import { readFile } from 'node:fs/promises'

/**
 * Replaces computed keys of schemas with their values: `{ [_xN]: "id" }` becomes `{ "xmlName": "id" }`. esbuild keeps
 * unused values with computed keys, because computing a key could have a side effect.
 */
function nameKeys(/** @type {string} */ source) {
  const constants = new Map(
    [...source.matchAll(/^const (_\w+) = ("[^"\n]*");$/gm)].map(([, name, value]) => [name, value]),
  )
  return source.replaceAll(/\[(_\w+)\]:/g, (key, name) => {
    const value = constants.get(name)
    return value === undefined ? key : `${value}:`
  })
}

/** @type {import('esbuild').Plugin} */
export const leanAws = {
  name: 'lean-aws',
  setup(build) {
    build.onLoad(
      { filter: /[/\\]client-ec2[/\\]dist-es[/\\]schemas[/\\]schemas_\d+\.js$/ },
      async ({ path }) => ({ contents: nameKeys(await readFile(path, 'utf8')) }),
    )
  },
}
