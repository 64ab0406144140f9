import { UserError } from '../../errors.ts'
import type { ReadyMachine } from '../../machine/machine.ts'
import { growDiskScript } from '../../provision/host/grow-disk-script.ts'
import { run } from '../../transport/run.ts'
import { waitForSsh } from '../create/wait-for-ssh.ts'
import type { Context } from '../context.ts'
import type { Progress } from '../../os/progress.ts'

/**
 * Grows the root partition and file system of a host after its disk has been enlarged. Throws kind `failed` if that
 * fails.
 */
export async function growDisk(
  context: Context,
  machine: ReadyMachine,
  progress: Progress,
): Promise<void> {
  const { name } = machine
  // A separate connection, because the shared one may have been opened before the host was stopped.
  await using transport = await waitForSsh(context, machine, progress)
  progress('grow the file system')
  const { code, stdout, stderr } = await run(transport, ['sh'], {
    input: growDiskScript,
    signal: context.signal,
  })
  if (code !== 0) {
    throw new UserError(
      'failed',
      `the disk was grown, but its file system was not: ${stderr.trim()}`,
      {
        machine: name,
        hint: `to let cloud-init grow the file system, restart the machine: fleet restart ${name}`,
      },
    )
  }
  if (stdout.trim() !== '')
    progress(
      'grow the file system',
      `${stdout.trim()}: the file system will grow the next time the machine starts`,
    )
}
