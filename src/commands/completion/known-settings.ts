import type { Fleet } from '../../app/fleet.ts'
import { mergeProfiles } from '../../machine/profiles.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'
import { operandsIn } from '../options/common-options.ts'
import type { Candidate } from './inventory-names.ts'

/** A key that `fleet set` can change, and the known values for that key. */
interface Field {
  readonly key: string
  readonly description: string
  readonly values: readonly string[]
}

/** Whether `fleet set` changes a profile. */
export const setsProfile = (line: readonly string[]): boolean => line.includes('--profile')

/**
 * Returns the driver of the machine or profile to change, or all drivers in the inventory if options select the
 * machines.
 */
function driversOf(
  { machines, profiles }: Inventory,
  line: readonly string[],
): ReadonlySet<string | undefined> {
  const [, nameAt = -1] = operandsIn(line)
  const name = line[nameAt] ?? ''
  if (setsProfile(line)) return new Set([mergeProfiles(profiles).get(name)?.driver])
  const found = [...machines.values()].find((machine) => machine.name === name)
  const chosen = found === undefined ? [...machines.values()] : [found]
  return new Set(chosen.map(({ driver }) => driver))
}

async function optionFields(fleet: Fleet, driver: string | undefined): Promise<Field[]> {
  if (driver === undefined || driver === '') return []
  const { optionFlags } = await import('../../drivers/options/option-flags.ts')
  const definition = await fleet.driver(driver).catch((error: unknown) => {
    if (fleet.hosted === undefined) return undefined // for example, if the driver is not trusted
    throw error // makes the client process run the command
  })
  if (definition === undefined) return []
  return optionFlags(definition).map(({ key, description, type, choices = [] }) => ({
    ...{ key, description },
    values: type === 'boolean' ? ['true', 'false'] : choices,
  }))
}

function labelFields({ machines }: Inventory): Field[] {
  const values = new Map<string, Set<string>>()
  for (const [key, value] of [...machines.values()].flatMap(({ labels = {} }) =>
    Object.entries(labels),
  )) {
    values.set(key, (values.get(key) ?? new Set()).add(value))
  }
  return [...values].map(([key, known]) => ({
    ...{ key: `label.${key}`, description: 'label' },
    values: [...known],
  }))
}

/** Completes `fleet set NAME`: the keys, or, after `key=`, the known values. */
export async function knownSettings(
  fleet: Fleet,
  line: readonly string[],
): Promise<readonly Candidate[]> {
  const inventory = await (await fleet.inventory()).read()
  const isProfile = setsProfile(line)
  const drivers = [...driversOf(inventory, line)]
  const options = await Promise.all(drivers.map((driver) => optionFields(fleet, driver)))
  const fields: readonly Field[] = [
    ...(isProfile ? [{ key: 'count', description: 'number of machines', values: [] }] : []),
    {
      key: 'protected',
      description: 'true to require typing the machine name to confirm removal',
      values: ['true', 'false'],
    },
    {
      ...{ key: 'engine', description: 'Docker version or channel, or none' },
      values: ['none', 'distribution', 'stable', 'test'],
    },
    {
      key: 'via',
      description: 'machine to use as the jump host',
      values: [...inventory.machines.keys()],
    },
    { key: 'userData', description: 'file with cloud-init user data', values: [] },
    ...labelFields(inventory),
    ...options.flat(),
  ]
  const [, typed] = /^([^=]+)=/.exec(line.at(-1) ?? '') ?? []
  if (typed === undefined) {
    const words = fields.map(({ key, description }) => ({ word: `${key}=`, description }))
    return [...new Map(words.map((found) => [found.word, found])).values()]
  }
  const field = fields.find(({ key }) => key === typed)
  return (field?.values ?? []).map((value) => ({ word: `${typed}=${value}`, description: '' }))
}
