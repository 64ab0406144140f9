import { readFile } from 'node:fs/promises'
import { UserError, messageOf } from '../../errors.ts'
import { fingerprintKeyFile } from '../../transport/ssh-key-fingerprint.ts'
import type { Context, Progress } from '../context.ts'
import { type CreatedMachine, createMachine } from '../create-machine.ts'
import type { HostKeyTrust } from '../trust-host-key.ts'
import type { ForeignHost } from './foreign-host.ts'

/** How hosts of another tool are taken in. */
export interface Import {
  readonly trust: HostKeyTrust
  readonly labels: Readonly<Record<string, string>>
  /** Who to log in as where the other tool does not say. */
  readonly user: string | undefined
  readonly progress: Progress
}

/** A key that was made for a host goes into home, so that the other tool's files can be removed. */
async function keepKey(context: Context, file: string, key: string): Promise<void> {
  if ((await fingerprintKeyFile(file)) !== key) return
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new UserError('failed', `cannot read ${file}: ${messageOf(error)}`, { cause: error })
  })
  await context.keys().keep(key, text)
}

/** Takes in a host that another tool keeps, as `adopt` does: it is looked at, and nothing on it changes. fleet never owns it. */
export async function importHost(
  context: Context,
  host: ForeignHost,
  { trust, labels, user, progress }: Import,
): Promise<CreatedMachine> {
  const { name, address, port, identityFile, keyIsItsOwn } = host
  const login = host.user ?? user
  const created = await createMachine(
    context,
    {
      name,
      driver: 'ssh',
      options: {
        address,
        ...(login !== undefined && { user: login }),
        ...(port !== undefined && { port }),
      },
      labels: { ...host.labels, ...labels },
      identityFiles: identityFile === undefined ? [] : [identityFile],
      trust,
    },
    { progress, approve: async () => false },
  )
  const { key } = created.machine.host
  if (keyIsItsOwn && identityFile !== undefined && key !== undefined) {
    await keepKey(context, identityFile, key)
  }
  return created
}
