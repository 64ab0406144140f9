import { closeSync, openSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Certificates, makeCertificates } from '../certificates.ts'
import { ended, spawnTied, until } from '../lab/process.ts'
import { answersTcp } from '../lab/probes.ts'
import { writePasswordFile } from './registry-login.ts'

/** Two registries with the same files: one serves plain HTTP, the other HTTPS with a private CA and a login. */
export interface LabRegistries extends AsyncDisposable {
  /** `10.77.0.1:5000` */
  readonly plain: string
  /** `reg.lab:5443`; hosts need an entry for `reg.lab` in /etc/hosts. */
  readonly secure: string
  readonly certificates: Certificates
}

/** Starts both registries at `address`. */
export async function startRegistries(address: string): Promise<LabRegistries> {
  const folder = await mkdtemp(join(tmpdir(), 'registries-'))
  const certificates = await makeCertificates(folder, ['reg.lab'])
  const path = join(folder, 'users')
  await writePasswordFile(path)
  const storage = { filesystem: { rootdirectory: join(folder, 'data') } }
  const tls = { certificate: join(folder, 'server.pem'), key: join(folder, 'server.key') }
  const configs = [
    { version: 0.1, storage, http: { addr: `${address}:5000`, secret: 'lab' } },
    {
      ...{ version: 0.1, storage, http: { addr: `${address}:5443`, secret: 'lab', tls } },
      auth: { htpasswd: { realm: 'lab', path } },
    },
  ]
  const children = await Promise.all(
    configs.map(async (config, index) => {
      const file = join(folder, `registry-${index}.yml`)
      await writeFile(file, JSON.stringify(config)) // JSON is YAML
      const log = openSync(join(folder, `registry-${index}.log`), 'a')
      const child = spawnTied(['docker-registry', 'serve', file], {
        env: { PATH: process.env['PATH'] },
        stdio: ['ignore', log, log],
      })
      closeSync(log)
      return child
    }),
  )
  for (const port of [5000, 5443]) {
    await until(
      'the registry to answer',
      async () => (await answersTcp(address, port)) || undefined,
    )
  }
  return {
    plain: `${address}:5000`,
    secure: 'reg.lab:5443',
    certificates,
    async [Symbol.asyncDispose]() {
      for (const child of children) {
        child.kill('SIGKILL')
        await ended(child)
      }
      await rm(folder, { recursive: true })
    },
  }
}
