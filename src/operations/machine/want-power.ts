import type { Machine } from '../../machine/machine.ts'
import type { Context } from '../context.ts'

/** Records in the entry of a machine whether it should be stopped. Plans compare the state of the host with it. */
export async function wantPower(
  context: Pick<Context, 'inventory'>,
  { name }: Pick<Machine, 'name'>,
  { isOff }: { readonly isOff: boolean },
): Promise<void> {
  const store = await context.inventory()
  await store.update(name, (entry) => {
    if (entry === undefined) return entry
    const { stopped: _before, ...others } = entry
    return { ...others, ...(isOff && { stopped: true as const }) }
  })
}
