import { rm } from 'node:fs/promises'
import type { Call } from '../driver.ts'
import { releasePort } from '../net/reserve-port.ts'
import { removeDisks } from './base-disk.ts'
import { findOwnMachine } from './own-machine.ts'
import type { Env } from './paths.ts'
import { killMachine } from './power.ts'
import { ignoreMissing } from './vboxmanage.ts'

/** Deletes a machine with its disks, snapshots and files, if they exist, from VirtualBox and from this computer. */
export async function removeMachine(
  { vbox, paths }: Env,
  token: string,
  call: Call,
  { keepsPort = false } = {},
): Promise<void> {
  const { folder, seed } = paths.machine(token)
  const machine = await findOwnMachine({ vbox, paths }, token, call)
  if (machine !== undefined) {
    await killMachine(vbox, token, call)
    call.progress('delete the virtual machine')
    await ignoreMissing(vbox.run(['unregistervm', token], call))
  }
  await removeDisks({ vbox, paths }, folder, call)
  await ignoreMissing(vbox.run(['closemedium', 'dvd', seed], call))
  await rm(folder, { recursive: true, force: true })
  if (!keepsPort) await releasePort(paths.ports, token)
}
