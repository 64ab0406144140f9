import type { DriverDefinition } from '../../drivers/driver.ts'
import { UserError } from '../../errors.ts'
import { type Profiles, mergeProfiles } from '../../machine/profiles.ts'
import { noProfile } from '../../machine/unknown-name.ts'
import type { ProfileEntry } from '../../machine/schema.ts'
import { findMachine } from './choose-machines.ts'
import type { Context } from '../context.ts'
import { type FieldChange, changedFields } from './describe-changes.ts'
import { type Setting, isKnown, known, withSetting } from './set-machine.ts'
import { withOption } from './set-option.ts'

function countOf(value: string | undefined): number | undefined {
  if (value === undefined) return undefined
  if (/^\d{1,6}$/.test(value)) return Number(value)
  throw new UserError('usage', `count must be a whole number, not ${JSON.stringify(value)}`)
}

/** Applies one setting to a profile. Driver options can be set only if the profile has a driver or inherits one. */
function withProfileSetting(
  { count: before, ...entry }: ProfileEntry,
  setting: Setting,
  definition: DriverDefinition | undefined,
): ProfileEntry {
  const { key, value } = setting
  const count = key === 'count' ? countOf(value) : before
  const counted = count !== undefined && { count }
  if (key === 'count') return { ...entry, ...counted }
  if (isKnown(key)) return { ...withSetting(entry, setting), ...counted }
  if (definition === undefined) {
    throw new UserError('usage', `cannot set ${key}: the profile has no driver`)
  }
  return { ...withOption(definition, entry, setting, ['count', ...known]), ...counted }
}

function findProfile(profiles: Profiles, name: string): ProfileEntry {
  const profile = profiles.get(name)
  if (profile !== undefined) return profile
  throw new UserError('usage', noProfile(name, profiles.keys()), {
    hint: 'profiles are defined under "profiles:" in the inventory',
  })
}

/**
 * Changes settings of a profile. The hosts are not changed until `fleet apply`. Resolves to the profile and the changed
 * fields.
 */
export async function setProfile(
  context: Pick<Context, 'inventory' | 'driver'>,
  name: string,
  settings: readonly Setting[],
): Promise<{ readonly profile: ProfileEntry; readonly changes: readonly FieldChange[] }> {
  const store = await context.inventory()
  const { profiles } = await store.read()
  findProfile(profiles, name)
  const driver = mergeProfiles(profiles).get(name)?.driver
  const definition = driver === undefined ? undefined : await context.driver(driver)
  let changed: ProfileEntry = {}
  let changes: readonly FieldChange[] = []
  await store.updateProfile(name, (_, newest) => {
    const profile = findProfile(newest.profiles, name)
    changed = settings.reduce(
      (before, setting) => withProfileSetting(before, setting, definition),
      profile,
    )
    changes = changedFields(profile, changed)
    if (changed.via !== profile.via && changed.via !== undefined) findMachine(newest, changed.via)
    return changed
  })
  return { profile: changed, changes }
}
