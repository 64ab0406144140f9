import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UserError } from '../../../src/errors.ts'
import { parseMachineName } from '../../../src/machine/name.ts'
import type { Progress } from '../../../src/os/progress.ts'
import { waitUntilReady } from '../../../src/operations/create/wait-until-ready.ts'
import type { HostProbe } from '../../../src/provision/host/probe.ts'
import {
  type FirstBoot,
  packUserData,
  writeUserData,
} from '../../../src/provision/cloud-init/user-data.ts'
import { connectSsh } from '../../../src/transport/ssh/connect.ts'
import { type KeyPair, makeKeyPair } from '../../../src/transport/ssh/login/key-pair.ts'
import type { Transport } from '../../../src/transport/transport.ts'
import { until } from '../lab/process.ts'
import { type BootOptions, type BootedHost, bootHost } from './booted-host.ts'

const machine = parseMachineName('web-1')
const { signal } = new AbortController()

/** A host during its first boot, with user-data of fleet. */
export interface NewHost extends AsyncDisposable {
  readonly host: BootedHost
  readonly hostKey: KeyPair
  connect(hostKeys?: readonly string[], user?: string): Promise<Transport>
  settle(progress?: Progress): Promise<HostProbe>
}

/** The defaults for the user-data. */
export const firstBoot = {
  hostName: 'web-1',
  user: 'ana',
  authorizedKeys: [],
  engine: undefined,
} as const

/** Boots a host with user-data that fleet generates. */
export async function createHost(
  different: Partial<FirstBoot>,
  options: BootOptions = {},
  maxBytes = 100_000,
): Promise<NewHost> {
  const folder = await mkdtemp(join(tmpdir(), 'first-boot-'))
  const identityFile = join(folder, 'id')
  const [hostKey, login] = [makeKeyPair('host'), makeKeyPair('login')]
  await writeFile(identityFile, login.privateKey, { mode: 0o600 })
  const authorizedKeys = [`${login.publicKey} fleet web-1`]
  const text = writeUserData({ ...firstBoot, authorizedKeys, hostKey, ...different })
  const host = await bootHost({
    ...options,
    userData: packUserData(text, { maxBytes, gzip: true }),
  })
  const tryToConnect = (hostKeys: readonly string[], user: string) =>
    connectSsh(
      {
        machine,
        address: host.address,
        port: 22,
        user,
        hostKeys,
        identityFiles: [identityFile],
      },
      { env: {} },
    )
  // cloud-init restarts sshd if it changes the login settings.
  const connect = (hostKeys: readonly string[] = [hostKey.publicKey], user = 'ana') =>
    until('sshd to listen', () =>
      tryToConnect(hostKeys, user).catch((error: unknown) => {
        if (error instanceof UserError && error.kind === 'unreachable') return undefined
        throw error
      }),
    )
  return {
    host,
    hostKey,
    connect,
    async settle(progress: Progress = () => {}) {
      await using transport = await connect()
      return await waitUntilReady({ machine, transport, socket: undefined, signal }, progress)
    },
    async [Symbol.asyncDispose]() {
      await host[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
