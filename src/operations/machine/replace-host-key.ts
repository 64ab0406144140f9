import { UserError } from '../../errors.ts'
import type { MachineName } from '../../machine/name.ts'
import { asRoot, installHostKey, stageHostKey } from '../../provision/host/host-key.ts'
import { parsePublicKey } from '../../transport/ssh/host-keys/host-key.ts'
import { run } from '../../transport/run.ts'
import type { Transport } from '../../transport/transport.ts'

/** The machine whose host key is to be replaced. */
export interface HostKeyOwner {
  readonly machine: MachineName
  readonly signal: AbortSignal
}

/**
 * Replaces a host key, which the provider has seen, with one that the host generates; the connection stays open.
 * `record` must not resolve before it has durably stored the keys, since the host may present any of them: if this
 * function is interrupted, the host can still be reached with the recorded keys, and a second call completes the
 * replacement. Resolves to the new key, `TYPE BASE64`, which is the only one recorded in the end. Call it after
 * cloud-init has finished.
 *
 * @param transport logged in as root, or as a user that can use sudo without a password
 */
export async function replaceHostKey(
  transport: Transport,
  owner: HostKeyOwner,
  record: (keys: readonly string[]) => Promise<void>,
): Promise<string> {
  const output = await runAsRoot(transport, owner, stageHostKey)
  const [before, after] = ['old', 'new'].map((name) => keyIn(output, name))
  if (before === undefined || after === undefined)
    throw notReplaced(owner, 'the host did not return a key')
  await record([before, after])
  await runAsRoot(transport, owner, installHostKey)
  await record([after])
  return after
}

const keyIn = (output: string, name: string): string | undefined =>
  parsePublicKey(new RegExp(`^fleet ${name}=(.*)$`, 'm').exec(output)?.[1] ?? '')

async function runAsRoot(
  transport: Transport,
  owner: HostKeyOwner,
  script: string,
): Promise<string> {
  const { signal } = owner
  const { code, stdout, stderr } = await run(transport, asRoot, { input: script, signal })
  if (code === 0) return stdout
  throw notReplaced(owner, stderr.trim().split('\n').at(-1) || `exit code ${code}`)
}

const notReplaced = ({ machine }: HostKeyOwner, why: string): UserError =>
  new UserError('failed', `cannot replace ${machine}'s host key: ${why}`, {
    machine,
    hint: 'run the command again to continue',
  })
