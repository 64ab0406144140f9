import { messageWithHint } from '../../errors.ts'
import type { HostRecord, Machine, HostStatus } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import type { Context } from '../context.ts'

/**
 * The state of a machine's host at its provider. `not-asked` means that there is no provider, or that the request
 * failed.
 */
export type ProviderAnswer = HostStatus | { readonly state: 'not-asked'; readonly why?: string }

type Answers = ReadonlyMap<MachineName, HostStatus>

/**
 * Creates a function that asks providers for the state of hosts. Each driver is asked once for all of its machines,
 * when the first answer is needed.
 */
export function askProviders(
  context: Context,
  machines: readonly Machine[],
): (machine: Machine) => Promise<ProviderAnswer> {
  const asked = new Map<string, Promise<Answers>>()

  const hostsOf = (driver: string): Map<MachineName, HostRecord> =>
    new Map(
      machines.flatMap(({ name, host, ...machine }) =>
        machine.driver === driver && host?.phase === 'ready' ? [[name, host] as const] : [],
      ),
    )

  async function ask(name: string): Promise<Answers> {
    const driver = await context.loadDriver(name)
    if (driver.lifecycle === undefined) return new Map()
    return driver.observe(hostsOf(name), { signal: context.signal, progress: () => {} })
  }

  return async ({ name, driver }) => {
    const answers = asked.get(driver) ?? ask(driver)
    asked.set(driver, answers)
    try {
      return (await answers).get(name) ?? { state: 'not-asked' }
    } catch (error) {
      return { state: 'not-asked', why: `${driver}: ${messageWithHint(error)}` }
    }
  }
}
