import { expect, test } from 'vitest'
import { driverOptions } from '../../../src/commands/machine/create/options.ts'
import { azure } from '../../../src/drivers/azure/definition.ts'
import type { Fleet } from '../../../src/app/fleet.ts'

const fleet = { driver: async () => azure } as unknown as Fleet
const argv = ['create', '--driver', 'azure']

test('help says what holds unless told, what is needed, and what a value looks like', async () => {
  const options = await driverOptions(argv, fleet)
  const told = (name: string) => `${options[name]?.flags}  ${options[name]?.description}`
  expect(told('location')).toMatch(/^--location <text> {2}.* Needed\.$/)
  expect(told('image')).toMatch(/^--image <text> {2}.* debian-13 unless told\.$/)
  expect(told('eviction')).toMatch(/^--eviction <choice> .* One of deallocate, delete\. deallocate/)
  expect(told('spot')).toMatch(/^--spot {2}[^.]+\.$/)
  expect(told('boot-diagnostics')).toMatch(
    /^--boot-diagnostics <true\|false> .* true unless told\.$/,
  )
  expect(options['image']?.heading).toBe('Options of the driver azure')
  expect(options['driver']?.heading).toBeUndefined()
})

test('of a host that exists nothing is needed, and nothing holds unless told', async () => {
  const options = Object.values(await driverOptions(argv, fleet, { isNew: false }))
  const ends = options.map(({ description }) =>
    /(?:Needed|debian-13 unless told)\.$/.exec(description),
  )
  expect(ends.filter((end) => end !== null)).toEqual([])
})
