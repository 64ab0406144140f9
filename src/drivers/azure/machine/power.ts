import { UserError } from '../../../errors.ts'
import type { HostRecord } from '../../../machine/machine.ts'
import type { Call, Power } from '../../driver.ts'
import { checkOwnedBy } from '../../ownership.ts'
import type { AzureApi, OpenApi } from '../api/azure-api.ts'
import { type HostLocation, requireLocation } from '../create/host-location.ts'
import { powerOf } from './observe.ts'
import { ignoreNotFound } from '../api/sdk-errors.ts'
import { findVirtualMachine } from '../create/virtual-machine.ts'
import { poll } from '../../../os/retry.ts'

const changing = new Set(['starting', 'stopping', 'deallocating'])

/** Waits until the power state is stable and returns it. */
async function waitForStablePower(api: AzureApi, place: HostLocation, call: Call): Promise<string> {
  const { group, names } = place
  const check = async (): Promise<string | undefined> => {
    const answer = api.compute.virtualMachines.instanceView(group, names.machine, {
      abortSignal: call.signal,
    })
    const view = await ignoreNotFound(answer)
    if (view === undefined) {
      throw new UserError(
        'failed',
        `there is no virtual machine ${names.machine} in the resource group ${group}`,
        {
          hint: 'the virtual machine was deleted outside of fleet; remove the entry: fleet rm NAME',
        },
      )
    }
    const power = powerOf(view.statuses) ?? 'unknown'
    if (!changing.has(power)) return power
    call.progress('wait for the virtual machine', power)
    return undefined
  }
  return poll(check, { signal: call.signal, pauseMs: api.timeouts.pollMs })
}

/** Changes a power state, if necessary. */
type PowerChange = (
  power: string,
  api: AzureApi,
  place: HostLocation,
  call: Call,
) => PromiseLike<unknown> | void

const optionsOf = (api: AzureApi, { signal }: Call) => ({
  abortSignal: signal,
  updateIntervalInMs: api.timeouts.pollMs,
})

const start: PowerChange = (power, api, { group, names }, call) => {
  if (power === 'running') return
  call.progress('start the virtual machine')
  return api.compute.virtualMachines.start(group, names.machine, optionsOf(api, call))
}

const stop: PowerChange = (power, api, { group, names }, call) => {
  if (power === 'deallocated') return
  call.progress(
    'stop and deallocate the virtual machine',
    'Azure will then charge only for the disk and the address',
  )
  return api.compute.virtualMachines.deallocate(group, names.machine, optionsOf(api, call))
}

const restart: PowerChange = (power, api, place, call) => {
  if (power !== 'running') return start(power, api, place, call)
  call.progress('restart the virtual machine')
  const { group, names } = place
  return api.compute.virtualMachines.restart(group, names.machine, optionsOf(api, call))
}

const kill: PowerChange = (power, api, { group, names }, call) => {
  if (power === 'deallocated' || power === 'stopped') return
  call.progress(
    'power off the virtual machine',
    'Azure will continue to charge for the virtual machine until you run fleet stop',
  )
  const options = { ...optionsOf(api, call), skipShutdown: true }
  return api.compute.virtualMachines.powerOff(group, names.machine, options)
}

/**
 * See `Power`. `stop` deallocates the virtual machine, which ends its billing; `kill` only powers
 * it off.
 */
export function switchPower(openApi: OpenApi): Power {
  const by = (change: PowerChange) => async (host: HostRecord, call: Call) => {
    const place = requireLocation(host)
    const api = openApi(place.account, call)
    const machine = await findVirtualMachine(api, place, call)
    if (machine !== undefined) {
      checkOwnedBy(host.token, machine.tags, `the virtual machine ${place.names.machine}`)
    }
    await change(await waitForStablePower(api, place, call), api, place, call)
  }
  return { start: by(start), stop: by(stop), restart: by(restart), kill: by(kill) }
}
