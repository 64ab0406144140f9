import { UserError } from '../errors.ts'
import type { ProfileEntry } from '../machine/schema.ts'
import { suggest } from '../machine/nearest.ts'
import { findMachine } from './choose-machines.ts'
import type { Context } from './context.ts'
import { type Setting, withSetting } from './set-machine.ts'

function countOf(value: string | undefined): number | undefined {
  if (value === undefined) return undefined
  if (/^\d{1,6}$/.test(value)) return Number(value)
  throw new UserError('usage', `count is a number of machines, not ${JSON.stringify(value)}`)
}

function withProfileSetting(profile: ProfileEntry, setting: Setting): ProfileEntry {
  const { count: before, ...entry } = profile
  const isCount = setting.key === 'count'
  const count = isCount ? countOf(setting.value) : before
  return {
    ...(isCount ? entry : withSetting(entry, setting)),
    ...(count !== undefined && { count }),
  }
}

/** Changes what a profile says, for all that extend it: their hosts follow with `apply`. Resolves to the profile. */
export async function setProfile(
  context: Pick<Context, 'inventory'>,
  name: string,
  settings: readonly Setting[],
): Promise<ProfileEntry> {
  let changed: ProfileEntry = {}
  await (
    await context.inventory()
  ).updateProfile(name, (profile, inventory) => {
    if (profile === undefined) {
      const meant = suggest(name, inventory.profiles.keys())
      throw new UserError('usage', `there is no profile ${name}${meant}`, {
        hint: 'they stand under `profiles:` in the inventory',
      })
    }
    changed = settings.reduce(withProfileSetting, profile)
    if (changed.via !== profile.via && changed.via !== undefined) {
      findMachine(inventory, changed.via)
    }
    return changed
  })
  return changed
}
