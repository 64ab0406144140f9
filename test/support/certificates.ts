import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import tls from 'node:tls'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** A server certificate, and the certificate authority that signed it. */
export interface Certificates {
  readonly key: string
  readonly cert: string
  /** The file that contains `ca`, for NODE_EXTRA_CA_CERTS. */
  readonly caFile: string
  readonly ca: string
}

const openssl = (folder: string, line: string, ...more: string[]) =>
  run('openssl', [...line.split(' '), ...more], { cwd: folder })

/** Creates a certificate authority in `folder`, and a certificate for `hosts` signed by it. */
export async function makeCertificates(
  folder: string,
  hosts: readonly string[],
): Promise<Certificates> {
  const curve = '-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
  await openssl(
    folder,
    `req -x509 ${curve} -days 2 -keyout ca.key -out ca.pem -subj /CN=stand-in`,
    '-addext',
    'basicConstraints=critical,CA:TRUE',
  )
  await openssl(folder, `req ${curve} -keyout server.key -out server.csr -subj /CN=${hosts[0]}`)
  const names = hosts.map((host) => `${isIP(host) === 0 ? 'DNS' : 'IP'}:${host}`).join(',')
  await writeFile(join(folder, 'names'), `subjectAltName=${names}\n`)
  await openssl(
    folder,
    'x509 -req -days 2 -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -out server.pem',
  )
  const read = (name: string) => readFile(join(folder, name), 'utf8')
  const [key, cert, ca] = await Promise.all(['server.key', 'server.pem', 'ca.pem'].map(read))
  return { key: key ?? '', cert: cert ?? '', ca: ca ?? '', caFile: join(folder, 'ca.pem') }
}

/**
 * Makes this process trust a certificate authority, as NODE_EXTRA_CA_CERTS does at startup. Returns a function that
 * undoes this.
 */
export function trustAuthority(ca: string): () => void {
  const original = tls.createSecureContext
  const create = (options?: tls.SecureContextOptions): tls.SecureContext => {
    const made = original(options)
    ;(made.context as { addCACert(pem: string): void }).addCACert(ca)
    return made
  }
  // If an authority is added, Node.js reloads all built-in ones, which takes longer than a request, so the result is
  // shared.
  let shared: tls.SecureContext | undefined
  tls.createSecureContext = (options) =>
    options?.key === undefined && options?.ca === undefined
      ? (shared ??= create(options))
      : create(options)
  return () => {
    tls.createSecureContext = original
  }
}
