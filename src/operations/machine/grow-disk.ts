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
  progress('grow the file system')
  const { code, stdout, stderr } = await run(transport, ['sh'], {
    input: growDiskScript,
    signal: context.signal,
  })
  if (code !== 0) {
    throw new UserError(
      'failed',
      `the disk was enlarged, but its file system could not be grown: ${stderr.trim()}`,
      {
        machine: name,
        hint: `restart the machine, and cloud-init grows the file system: fleet restart ${name}`,
      },
    )
  }
  if (stdout.trim() !== '') progress(`${stdout.trim()}: the file system grows at the next start`)
}
