// The licenses of the packages whose code is in the bundle, which must be distributed with it.
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** Returns the directories of the packages to which the inputs of an esbuild metafile belong. */
function packageFolders(/** @type {Iterable<string>} */ inputs) {
  const folders = [...inputs].flatMap(
    (input) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1] ?? [],
  )
  return [...new Set(folders)].sort()
}

async function licenseOf(/** @type {string} */ folder) {
  const { name, version, license } = JSON.parse(
    await readFile(join(folder, 'package.json'), 'utf8'),
  )
  const files = (await readdir(folder)).filter((file) => /^(?:licen[cs]e|notice)/i.test(file))
  const texts = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')))
  return [
    `${name} ${version} (${license ?? 'see below'})`,
    ...texts.map((text) => text.trim()),
  ].join('\n\n')
}

/** Returns a text with the name, version and license of every package to which `inputs` belong. */
export async function thirdPartyLicenses(/** @type {Iterable<string>} */ inputs) {
  const licenses = await Promise.all(packageFolders(inputs).map(licenseOf))
  return `${licenses.join(`\n\n${'-'.repeat(80)}\n\n`)}\n`
}
