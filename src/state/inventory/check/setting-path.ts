import type { MachineName } from '../../../machine/name.ts'
import { chainFrom } from '../../../machine/profiles.ts'
import type { MachineEntry, ProfileEntry } from '../../../machine/schema.ts'
import type { Inventory } from '../inventory.ts'

/**
 * Returns the path of a machine's setting: in the machine's entry, or in the nearest of its profiles that contains the
 * setting.
 */
export function settingPath(
  { entries, profiles, machines }: Inventory,
  name: MachineName,
  key: keyof MachineEntry & keyof ProfileEntry,
): readonly string[] {
  if (entries.get(name)?.[key] !== undefined) return ['machines', name, key]
  const profile = chainFrom(profiles, machines.get(name)?.extends).find(
    (each) => profiles.get(each)?.[key] !== undefined,
  )
  return profile === undefined ? ['machines', name, key] : ['profiles', profile, key]
}
