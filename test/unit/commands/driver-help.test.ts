import { expect, test } from 'vitest'
import { driverOptions } from '../../../src/commands/machine/create/options.ts'
import { azure } from '../../../src/drivers/azure/definition.ts'
import type { Fleet } from '../../../src/app/fleet.ts'

const fleet = { driver: async () => azure } as unknown as Fleet
const argv = ['create', '--driver', 'azure']

test('help shows the default, the choices and the placeholder of an option', async () => {
  const options = await driverOptions(argv, fleet)
  const helpOf = (name: string) => `${options[name]?.flags}  ${options[name]?.description}`
  expect(helpOf('location')).toMatch(/^--location <location> {2}.* \(required\)$/)
  expect(helpOf('image')).toMatch(/^--image <image> {2}.* \(default: debian-13\)$/)
  expect(helpOf('eviction')).toMatch(
    /^--eviction <eviction> .* \(one of deallocate, delete; default: deallocate\)$/,
  )
  expect(helpOf('security-type')).toMatch(
    /^--security-type <type> .* \(one of Standard, TrustedLaunch; default: chosen by Azure\)$/,
  )
  expect(helpOf('spot')).toMatch(/^--spot {2}[^(]+$/)
  expect(helpOf('boot-diagnostics')).toMatch(
    /^--boot-diagnostics <true\|false> .* \(default: true\)$/,
  )
  expect(options['image']?.heading).toBe('Options for the azure driver')
  expect(options['driver']?.heading).toBeUndefined()
})

test('help for an existing host shows no schema defaults and no required options', async () => {
  const options = Object.values(await driverOptions(argv, fleet, { isNew: false }))
  const ends = options.map(({ description }) => /required|default: debian-13/.exec(description))
  expect(ends.filter((end) => end !== null)).toEqual([])
})
