import { join } from 'node:path'
import { cachedFolder } from '../../files/cached-folder.ts'
import { unpackPackages } from '../../files/unpack-packages.ts'

/**
 * Packages that python3-moto's EC2 part needs, from this computer's release. The dependencies that
 * python3-moto declares are incomplete (flask-cors) and include unnecessary packages.
 */
const dependencies =
  `boto3 botocore jmespath s3transfer cryptography cffi-backend dateutil six flask itsdangerous
 click colorama jinja2 markupsafe requests urllib3 idna chardet charset-normalizer certifi responses toml werkzeug
 xmltodict antlr4 flask-cors yaml`
    .split(/\s+/)
    .map((name) => `python3-${name}`)

/** Earlier Debian releases have no python3-moto, or one without newer EC2 calls. */
const packages = {
  release: 'trixie',
  ofRelease: ['python3-moto'],
  ofThisRelease: dependencies,
} as const

/** Locates moto: Debian packages that are fetched on first use (about 10 s, 120 MB) and kept between runs. */
export async function findMoto(): Promise<{ readonly server: string; readonly path: string }> {
  const folder = await cachedFolder('moto', packages, (place) => unpackPackages(place, packages))
  return {
    server: join(folder, 'root/usr/bin/moto_server'),
    path: join(folder, 'root/usr/lib/python3/dist-packages'),
  }
}
