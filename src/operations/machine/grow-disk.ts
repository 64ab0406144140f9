import { UserError } from '../../errors.ts'
import type { ReadyMachine } from '../../machine/machine.ts'
import { growDiskScript } from '../../provision/host/grow-disk.ts'
import { run } from '../../transport/run.ts'
import { waitForSsh } from '../create/wait-for-ssh.ts'
import type { Context, Progress } from '../context.ts'

/** Has the system of a host take in the room that its root disk has gained. Throws kind `failed` where it does not. */
export async function growDisk(
  context: Context,
  machine: ReadyMachine,
  progress: Progress,
): Promise<void> {
  const { name } = machine
  // A connection of its own: the shared one may be from before a stop.
  await using transport = await waitForSsh(context, machine, progress)
  progress('have the system take in the new room')
  const { code, stdout, stderr } = await run(transport, ['sh'], {
    input: growDiskScript,
    signal: context.signal,
  })
  if (code !== 0) {
    throw new UserError(
      'failed',
      `its disk is larger, and its system did not take that in: ${stderr.trim()}`,
      {
        machine: name,
        hint: `fleet restart ${name}: cloud-init does it when the host starts`,
      },
    )
  }
  if (stdout.trim() !== '') progress(`${stdout.trim()}: the new room is taken in at the next start`)
}
