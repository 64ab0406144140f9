import { randomUUID } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import type { Call, Driver, HostFacts, BootDisk } from '../../../src/drivers/driver.ts'
import {
  type VirtualBoxOptions,
  virtualBoxOptions,
} from '../../../src/drivers/virtualbox/options.ts'
import { mergeResources, type HostRecord } from '../../../src/machine/machine.ts'
import type { MachineName } from '../../../src/machine/name.ts'
import { type GuestSeed, seedGuest } from '../small-guest.ts'
import type { VirtualBox } from './virtualbox.ts'

/** The ID of the fleet that all guests belong to. */
export const fleet = '11111111'

/** Options for a machine with minimal resources. */
export const smallOptions = virtualBoxOptions.parse({ memory: 256, cpus: 1, disk: 1 })

export const quietCall: Call = { signal: new AbortController().signal, progress: () => {} }

/** A machine that was created from the small guest. */
export interface Guest {
  readonly record: HostRecord
  readonly seed: GuestSeed
  readonly facts: HostFacts
}

/** The options of a guest. */
interface GuestOptions {
  readonly token?: string
  readonly format?: BootDisk['format']
  readonly options?: VirtualBoxOptions
  readonly call?: Call
  readonly record?: () => Promise<void>
}

/** Creates and starts a machine from an image of the small guest. */
export async function makeGuest(
  driver: Driver<VirtualBoxOptions>,
  source: Pick<VirtualBox, 'image'>,
  {
    token = randomUUID(),
    format = 'qcow2',
    options = smallOptions,
    call = quietCall,
    record = async () => {},
  }: GuestOptions = {},
): Promise<Guest> {
  const tags = { 'fleet:id': fleet, 'fleet:machine': 'm', 'fleet:token': token }
  const wish = { name: 'm' as MachineName, token, tags, resources: {} }
  const plan = await driver.lifecycle?.plan(wish, options, call)
  if (plan === undefined) throw new Error('no plan')
  const seed = seedGuest(await source.image(format), plan.user)
  const disk = { ...seed.disk, format }
  const facts = await plan.make({ ...seed, disk, record }, call)
  const resources = mergeResources({}, plan.resources)
  return { record: { phase: 'ready', token, ...facts, resources }, seed, facts }
}

/**
 * Resolves to the files left in a directory of the driver, and to the media and machines in it that VirtualBox still
 * has.
 */
export async function leftIn(box: VirtualBox, folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true })
  const known = await Promise.all(['vms', 'hdds', 'dvds'].map((what) => box.manage('list', what)))
  return [
    ...entries.filter((name) => !/^(?:ports\.json|machines|bases)$/.test(name)),
    ...known.flatMap((text) => text.split('\n')).filter((line) => line.includes(`${folder}/`)),
  ]
}
