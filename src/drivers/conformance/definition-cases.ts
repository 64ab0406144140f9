import assert from 'node:assert/strict'
import type { HostRecord } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import { type Call, contractVersion } from '../driver.ts'
import { optionFlags } from '../options/option-flags.ts'
import { type ContractCase, type DriverUnderTest, driverFolder } from './driver-under-test.ts'

const quietCall = (): Call => ({ signal: new AbortController().signal, progress: () => {} })

/** Returns the cases for all drivers: for a driver's definition, and for hosts that the driver did not create. */
export const definitionCases = (subject: DriverUnderTest): ContractCase[] => [
  {
    name: 'has a valid definition',
    async run() {
      const { contract, name, summary, prompts = [] } = subject.definition
      assert.equal(contract, contractVersion)
      assert.match(name, /^[a-z][a-z0-9-]*$/)
      assert.match(
        summary,
        /^[^\n]{10,}[^.\n]$/,
        'the summary must be one line without a full stop',
      )
      const flags = optionFlags(subject.definition)
      const names = flags.map((flag) => flag.name)
      assert.equal(new Set(names).size, names.length, `two options share a flag: ${names.join()}`)
      for (const flag of flags) {
        assert.match(flag.name, /^[a-z][a-z0-9-]*$/)
        assert.match(
          flag.description,
          /^[^\n]{3,}[^.\n]$/,
          `the description of --${flag.name} must be one line without a full stop`,
        )
      }
      const keys = new Set(flags.map(({ key }) => key))
      for (const key of prompts)
        assert.ok(keys.has(key), `"prompts" contains ${key}, which is not an option`)
    },
  },
  {
    name: 'rejects unknown options',
    async run() {
      const result = subject.definition.options.safeParse({ 'no-such-option': 1 })
      const codes = result.error?.issues.map(({ code }) => code)
      assert.ok(codes?.includes('unrecognized_keys'), 'the options schema must reject unknown keys')
    },
  },
  {
    name: 'describes its grants, even if options are missing',
    async run() {
      for (const { what } of subject.definition.grants?.({}, process.env) ?? []) {
        assert.match(what, /^[^\n]{3,}[^.\n]$/, 'a grant must be a phrase without a full stop')
      }
    },
  },
  {
    name: 'declares its capabilities, and the test provides the required fields',
    async run() {
      const driver = await subject.definition.load(driverFolder, { env: process.env })
      const makesHosts = driver.lifecycle !== undefined
      const findsHosts = driver.locate !== undefined
      assert.ok(makesHosts || findsHosts, 'the driver has neither locate nor lifecycle')
      if (driver.power !== undefined)
        assert.ok(makesHosts, 'a driver with power must also have lifecycle')
      assert.equal(
        subject.existing !== undefined,
        findsHosts,
        'the test must set "existing" if and only if the driver has "locate"',
      )
      assert.equal(
        subject.lifecycle !== undefined,
        makesHosts,
        'the test must set "lifecycle" if and only if the driver has "lifecycle"',
      )
    },
  },
  {
    name: 'observes an empty list of hosts',
    async run() {
      const driver = await subject.definition.load(driverFolder, { env: process.env })
      assert.deepEqual(await driver.observe(new Map(), quietCall()), new Map())
    },
  },
  ...(subject.existing === undefined ? [] : existingCases(subject, subject.existing)),
]

const existingCases = (
  { definition }: DriverUnderTest,
  { options, facts }: NonNullable<DriverUnderTest['existing']>,
): ContractCase[] => [
  {
    name: 'returns the same result each time it locates a host',
    async run() {
      const driver = await definition.load(driverFolder, { env: process.env })
      const locate = () =>
        driver.locate?.('m' as MachineName, definition.options.parse(options), quietCall())
      assert.deepEqual(await locate(), facts)
      assert.deepEqual(await locate(), facts)
    },
  },
  {
    name: 'observes all of the given hosts and no others',
    async run() {
      const driver = await definition.load(driverFolder, { env: process.env })
      const record: HostRecord = { phase: 'ready', id: 'gone-1', address: '192.0.2.1', user: 'u' }
      const hosts = new Map(['a', 'b'].map((name) => [name as MachineName, record]))
      const statuses = await driver.observe(hosts, quietCall())
      assert.deepEqual([...statuses.keys()], ['a', 'b'])
      for (const { state } of statuses.values()) assert.ok(['absent', 'unknown'].includes(state))
    },
  },
]
