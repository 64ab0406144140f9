import { UserError } from '../../errors.ts'
import { isPortFree } from '../net/loopback-port.ts'
import type { Call } from '../driver.ts'
import { forwardedPorts } from './port-forwarding.ts'
import { type VirtualMachine, findVm, stateOf } from './machine.ts'
import type { VBoxManage } from './vboxmanage.ts'
import { ignored } from '../../os/trace.ts'
import { poll } from '../../os/retry.ts'

/** How long a machine may take to shut down before it is powered off, in milliseconds. */
export const defaultShutdownTimeout = 120_000

/** Interval between ACPI power button events, in milliseconds. */
const powerButtonInterval = 20_000

/** How long VirtualBox may take to start or stop a machine, in milliseconds. */
const settleTimeout = 60_000

/** Returns the machine with this ID. Throws kind `failed` if it does not exist. */
export async function requireMachine(
  vbox: VBoxManage,
  id: string,
  call: Call,
): Promise<VirtualMachine> {
  const machine = await findVm(vbox, id, call)
  if (machine !== undefined) return machine
  throw new UserError('failed', `there is no machine ${id} in VirtualBox on this computer`, {
    hint: 'the machine exists only on the computer where it was created; if it was deleted outside of fleet, remove the entry: fleet rm NAME',
  })
}

/** Waits until the machine is neither starting nor stopping, for at most `ms` milliseconds. */
async function waitUntilSettled(
  vbox: VBoxManage,
  id: string,
  call: Call,
  ms: number = settleTimeout,
): Promise<VirtualMachine> {
  const check = async (): Promise<VirtualMachine | undefined> => {
    const machine = await requireMachine(vbox, id, call)
    return ['starting', 'stopping'].includes(stateOf(machine.state)) ? undefined : machine
  }
  const otherwise = (): Promise<VirtualMachine> => requireMachine(vbox, id, call)
  return poll(check, { signal: call.signal, pauseMs: 300, withinMs: ms, otherwise })
}

/**
 * Checks that the forwarded ports are free. If they were not, VirtualBox would start the machine without port
 * forwarding.
 */
async function requirePort(machine: VirtualMachine): Promise<void> {
  for (const port of forwardedPorts(machine.fields)) {
    if (await isPortFree(port)) continue
    throw new UserError(
      'failed',
      `port ${port} is already in use and cannot be forwarded to the virtual machine`,
      {
        hint: `stop the program that listens on 127.0.0.1:${port}, then run the command again`,
      },
    )
  }
}

/** Starts or resumes a machine, with or without a window. */
export async function startMachine(vbox: VBoxManage, id: string, call: Call): Promise<void> {
  const machine = await waitUntilSettled(vbox, id, call)
  const state = stateOf(machine.state)
  if (state === 'running') return
  if (state === 'paused') {
    await vbox.run(['controlvm', id, 'resume'], call)
    return
  }
  await requirePort(machine)
  call.progress('start the virtual machine')
  const type = machine.fields.get('defaultfrontend') === 'gui' ? 'gui' : 'headless'
  await vbox.run(['startvm', id, '--type', type], call)
  const { state: now } = await waitUntilSettled(vbox, id, call)
  if (stateOf(now) === 'running') return
  throw new UserError('failed', `the machine was started but is not running (state: ${now})`, {
    hint: "check Logs/VBox.log in the virtual machine's directory",
  })
}

/** Powers a machine off. */
export async function killMachine(vbox: VBoxManage, id: string, call: Call): Promise<void> {
  const { state } = await waitUntilSettled(vbox, id, call)
  if (stateOf(state) === 'stopped') return
  call.progress('power off the virtual machine')
  try {
    await vbox.run(['controlvm', id, 'poweroff'], call)
  } catch (error) {
    if (stateOf((await waitUntilSettled(vbox, id, call)).state) !== 'stopped') throw error
  }
  await waitUntilSettled(vbox, id, call)
}

/** Shuts a machine down, or powers it off after `timeout` milliseconds. */
export async function stopMachine(
  vbox: VBoxManage,
  id: string,
  timeout: number,
  call: Call,
): Promise<void> {
  const { state } = await waitUntilSettled(vbox, id, call)
  if (stateOf(state) === 'stopped') return
  if (stateOf(state) === 'paused') await vbox.run(['controlvm', id, 'resume'], call)
  const start = Date.now()
  let presses = 0
  const check = async (): Promise<true | undefined> => {
    const since = Date.now() - start
    call.progress('shut down the virtual machine')
    const machine = await waitUntilSettled(vbox, id, call)
    if (stateOf(machine.state) === 'stopped') return true
    if (since >= presses * powerButtonInterval) {
      presses += 1
      // A machine that is already stopping rejects the event; the next check notices that it has stopped.
      await vbox
        .run(['controlvm', id, 'acpipowerbutton'], call)
        .catch(ignored('virtualbox', 'press the power button'))
    }
    return undefined
  }
  const pacing = { signal: call.signal, pauseMs: 500, withinMs: timeout }
  const hasStopped = await poll<boolean>(check, { ...pacing, otherwise: () => false })
  if (!hasStopped) await killMachine(vbox, id, call)
}
