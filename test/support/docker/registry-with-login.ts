import { closeSync, openSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { answersHttp, answersTcp } from '../lab/probes.ts'
import { ended, spawnTied, until } from '../lab/process.ts'
import { writePasswordFile } from './registry-login.ts'

/** A registry that requires the login of registry-login.ts. */
export interface RegistryWithLogin extends AsyncDisposable {
  readonly name: string
}

/** Starts Debian's docker-registry at `address`, over HTTPS if `tls` is set, and waits until it answers. */
export async function startRegistryWithLogin(
  address: string,
  { port = 5001, tls }: { port?: number; tls?: { cert: string; key: string } } = {},
): Promise<RegistryWithLogin> {
  const folder = await mkdtemp(join(tmpdir(), 'registry-'))
  const name = `${address}:${port}`
  const path = join(folder, 'users')
  const config = {
    version: 0.1,
    log: { level: 'warn' },
    storage: { filesystem: { rootdirectory: join(folder, 'data') } },
    http: {
      addr: name,
      ...(tls && {
        tls: { certificate: join(folder, 'cert.pem'), key: join(folder, 'key.pem') },
      }),
    },
    auth: { htpasswd: { realm: 'lab', path } },
  }
  const file = join(folder, 'registry.yml')
  await writePasswordFile(path)
  for (const [part, text] of Object.entries(tls ?? {})) {
    await writeFile(join(folder, `${part}.pem`), text)
  }
  await writeFile(file, JSON.stringify(config)) // JSON is YAML
  const log = openSync(join(folder, 'registry.log'), 'a')
  const child = spawnTied(['docker-registry', 'serve', file], {
    env: { PATH: process.env['PATH'] },
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  const at = { host: address, port, path: '/' }
  const answers = () => (tls === undefined ? answersHttp(at) : answersTcp(address, port))
  await until('the registry to answer', async () => (await answers()) || undefined)
  return {
    name,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await ended(child)
      await rm(folder, { recursive: true })
    },
  }
}
