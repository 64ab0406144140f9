// Lets esbuild leave out of the bundle what the driver for AWS does not use of EC2's client, which describes each type of data
// that EC2 has.
import { readFile } from 'node:fs/promises'

/**
 * Writes computed keys of descriptions as what they are: `{ [_xN]: "id" }` becomes `{ "xmlName": "id" }`. esbuild keeps
 * values with computed keys although nothing uses them, since computing a key could have an effect.
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
