import { describe, expect, test } from 'vitest'
import { optionFlags } from '../../src/drivers/option-flags.ts'
import type { Call, DriverDefinition } from '../../src/drivers/driver.ts'
import type { HostRecord } from '../../src/machine/machine.ts'
import type { MachineName } from '../../src/machine/name.ts'

/** A driver, and what its part of the suite needs. */
export interface DriverSubject {
  readonly definition: DriverDefinition
  /** Options of a host that exists, and the host that they lead to. Absent: the driver makes its hosts. */
  readonly existing?: {
    readonly options: Readonly<Record<string, unknown>>
    readonly facts: Readonly<Record<string, unknown>>
  }
}

const call = (signal: AbortSignal = new AbortController().signal): Call => ({
  signal,
  progress: () => {},
})

/** What every driver promises. */
export function describeDriver({ definition, existing }: DriverSubject): void {
  describe(`driver ${definition.name}`, () => {
    test('is data until it is loaded', () => {
      expect(definition.name).toMatch(/^[a-z][a-z0-9-]*$/)
      expect(definition.summary).toMatch(/^[^\n]{10,}[^.\n]$/)
      const flags = optionFlags(definition)
      expect(new Set(flags.map(({ name }) => name)).size).toBe(flags.length)
      for (const { name, description } of flags) {
        expect(name).toMatch(/^[a-z][a-z0-9-]*$/)
        expect(description).toMatch(/\.$/)
      }
    })

    test('refuses options that it does not know', () => {
      expect(definition.options.safeParse({ 'no-such-option': 1 }).success).toBe(false)
    })

    test('says of no hosts nothing', async () => {
      const driver = await definition.load()
      expect(await driver.observe(new Map(), call())).toEqual(new Map())
    })

    test('answers for every host that it is asked about, and for no other', async () => {
      const driver = await definition.load()
      const record: HostRecord = { phase: 'ready', id: 'gone-1', address: '192.0.2.1', user: 'u' }
      const hosts = new Map(['a', 'b'].map((name) => [name as MachineName, record]))
      const statuses = await driver.observe(hosts, call())
      expect([...statuses.keys()]).toEqual(['a', 'b'])
      for (const { state } of statuses.values()) expect(['absent', 'unknown']).toContain(state)
    })

    test.skipIf(existing === undefined)('finds a host that exists, twice the same', async () => {
      const driver = await definition.load()
      const options = definition.options.parse(existing?.options)
      const locate = () => driver.locate?.('m' as MachineName, options, call())
      expect(await locate()).toEqual(existing?.facts)
      expect(await locate()).toEqual(existing?.facts)
    })
  })
}
