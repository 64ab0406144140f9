import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { runProgram } from '../lab/process.ts'
import { type Package, buildPackage, controlOf, debianArchitecture } from './package.ts'

/** A suite: the contents of a directory below `dists`. */
export interface Suite {
  /** `bookworm` */
  readonly name: string
  /** Its packages, keyed by component. */
  readonly components: Readonly<Record<string, readonly Package[]>>
}

const sha256 = (content: string | Buffer) => createHash('sha256').update(content).digest('hex')

/** Creates a signing key in a new keyring in `folder`, and exports the public key to `file`. */
async function makeSigner(folder: string, file: string) {
  const home = join(folder, 'keyring')
  await mkdir(home, { mode: 0o700 })
  const gpg = (...argv: string[]) =>
    runProgram(['gpg', '--homedir', home, '--batch', '--yes', '--passphrase', '', ...argv])
  await gpg('--quick-generate-key', 'lab@example.com', 'ed25519', 'sign', 'never')
  const listed = await gpg('--with-colons', '--list-keys')
  const fingerprint = /^fpr:+(\w+):/m.exec(listed)?.[1] ?? ''
  await gpg('--armor', '--output', file, '--export', fingerprint)
  return {
    fingerprint,
    async sign(release: string) {
      await gpg('--output', join(dirname(release), 'InRelease'), '--clearsign', release)
      await gpg('--armor', '--output', `${release}.gpg`, '--detach-sign', release)
    },
    stop: () => runProgram(['gpgconf', '--homedir', home, '--kill', 'all']),
  }
}

/** Builds the packages of a component. Returns its index (Packages) with the index's path in Release. */
async function buildComponent(
  root: string,
  suite: string,
  [component, packages]: readonly [string, readonly Package[]],
  architecture: string,
) {
  const paragraphs: string[] = []
  for (const made of packages) {
    const name = `${made.name}_${made.version.replace(/^\d+:/, '')}_${architecture}.deb`
    const path = `dists/${suite}/pool/${component}/${architecture}/${name}`
    await buildPackage(made, architecture, join(root, path))
    const content = await readFile(join(root, path))
    paragraphs.push(
      `${controlOf(made, architecture)}Filename: ${path}\nSize: ${content.length}\nSHA256: ${sha256(content)}\n`,
    )
  }
  return { name: `${component}/binary-${architecture}/Packages`, text: paragraphs.join('\n') }
}

/**
 * Creates a signed package repository in the directory `root`
 * (wiki.debian.org/DebianRepository/Format), with its public key in the file `gpg`. Returns the key's
 * fingerprint.
 */
export async function buildAptRepository(
  root: string,
  { name: suite, components }: Suite,
): Promise<string> {
  await mkdir(root, { recursive: true })
  const architecture = await debianArchitecture()
  const folder = join(root, 'dists', suite)
  const sums: string[] = []
  for (const component of Object.entries(components)) {
    const { name, text } = await buildComponent(root, suite, component, architecture)
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), text)
    sums.push(` ${sha256(text)} ${Buffer.byteLength(text)} ${name}`)
  }
  const release = join(folder, 'Release')
  await writeFile(
    release,
    `Origin: Lab
Suite: ${suite}
Codename: ${suite}
Date: ${new Date().toUTCString()}
Architectures: ${architecture}
Components: ${Object.keys(components).join(' ')}
SHA256:
${sums.join('\n')}
`,
  )
  const signer = await makeSigner(dirname(root), join(root, 'gpg'))
  try {
    await signer.sign(release)
  } finally {
    await signer.stop()
  }
  return signer.fingerprint
}
