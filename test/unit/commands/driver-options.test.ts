import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { commonOptions } from '../../../src/commands/options/common-options.ts'
import { adopt } from '../../../src/commands/machine/adopt.ts'
import { create } from '../../../src/commands/machine/create/create.ts'
import { optionWords } from '../../../src/commands/machine/create/options.ts'
import { defineDriver, unknownStatus } from '../../../src/drivers/driver.ts'
import { drivers } from '../../../src/drivers/index.ts'
import {
  checkOptions,
  optionFlags,
  readOptionFlags,
  reservedFlags,
} from '../../../src/drivers/options/option-flags.ts'
import { ssh } from '../../../src/drivers/ssh/definition.ts'
import { UserError } from '../../../src/errors.ts'

const sample = defineDriver({
  name: 'sample',
  summary: 'has an option of every type',
  options: z.strictObject({
    region: z.string().describe('Where.'),
    diskSize: z.int().min(1).default(20).describe('GB.'),
    spot: z.boolean().optional().describe('Cheaper.'),
    tier: z.enum(['small', 'large']).describe('How big.').optional(),
  }),
  load: async () => ({ observe: async (hosts) => unknownStatus(hosts) }),
})

const failureOf = (work: () => unknown): UserError => {
  try {
    work()
  } catch (error) {
    if (error instanceof UserError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

test("derives flags from a driver's schema", () => {
  expect(optionFlags(sample)).toEqual([
    { name: 'region', key: 'region', description: 'Where.', type: 'string', required: true },
    {
      name: 'disk-size',
      key: 'diskSize',
      description: 'GB.',
      type: 'number',
      default: 20,
      required: false,
    },
    { name: 'spot', key: 'spot', description: 'Cheaper.', type: 'boolean', required: false },
    {
      name: 'tier',
      key: 'tier',
      description: 'How big.',
      type: 'enum',
      choices: ['small', 'large'],
      required: false,
    },
  ])
})

test('refuses a driver option whose flag is reserved by fleet', () => {
  const options = z.strictObject({ hostKey: z.string().describe('A key.') })
  expect(() => optionFlags({ ...sample, options })).toThrow(
    'hostKey: --host-key is reserved by fleet',
  )
  const own = { ...create.options, ...adopt.options, ...commonOptions }
  const names = Object.values(own).map(({ flags }) => /--([\w-]+)/.exec(flags)?.[1])
  expect(reservedFlags).toEqual(new Set([...names, 'engine', 'help', 'version'])) // --no-engine sets `engine`
})

test('converts flags to options of the right types, and omits flags that were not given', () => {
  const read = readOptionFlags(sample, {
    region: 'north',
    'disk-size': '30',
    spot: true,
    other: 'x',
  })
  expect(read).toEqual({ region: 'north', diskSize: 30, spot: true })
  expect(readOptionFlags(sample, { spot: 'false', tier: undefined })).toEqual({ spot: false })
})

test('names the flag whose value is not a number', () => {
  const error = failureOf(() => readOptionFlags(sample, { 'disk-size': 'big' }))
  expect(error).toMatchObject({ kind: 'usage', message: expect.stringContaining('--disk-size') })
})

describe('checking driver options', () => {
  test('overrides the driver options in the inventory with those from the command line', () => {
    expect(checkOptions(ssh, { address: 'a' }, { user: 'ops', port: 2200 })).toEqual({
      address: 'a',
      user: 'ops',
      port: 2200,
    })
    expect(checkOptions(ssh, { address: 'a', user: 'me' }, { user: 'ops' })).toMatchObject({
      user: 'me',
    })
  })

  test.each([
    [{}, '--region is required'],
    [{ region: 'n', diskSize: 0 }, '--disk-size: '],
    [{ region: 'n', diskSize: 'x' }, '--disk-size: '],
    [{ region: 'n', tier: 'huge' }, '--tier: expected one of small, large'],
    [{ region: 'n', spot: 'maybe' }, '--spot: expected one of true, false'],
    [{ region: 'n', colour: 'red' }, 'unknown option "colour"'],
  ])('refuses %o: %s', (options, expected) => {
    const error = failureOf(() => checkOptions(sample, options))
    expect(error).toMatchObject({ kind: 'usage', hint: expect.stringContaining('--driver sample') })
    expect(error.message).toContain(expected)
  })

  test('reports all problems in one error', () => {
    const { message } = failureOf(() => checkOptions(ssh, { user: 'a b', port: 70_000 }))
    for (const flag of ['--address', '--user', '--port']) expect(message).toContain(flag)
  })
})

test.each(drivers.map((driver) => [driver.name, driver] as const))(
  'every option of %s has a description and can be a flag',
  (_, driver) => {
    expect(driver.summary).not.toBe('')
    for (const flag of optionFlags(driver)) expect(flag.description).not.toBe('')
  },
)

test('turns option values back into words, with --no-engine only if engine is false', () => {
  const values = { rollback: true, yes: false, label: ['a=b'], count: undefined }
  expect(optionWords(create.options ?? {}, { ...values, engine: true })).toEqual([
    ...['--label', 'a=b', '--rollback'],
  ])
  expect(optionWords(create.options ?? {}, { ...values, engine: false })).toContain('--no-engine')
})
