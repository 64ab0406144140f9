import { describe, expect, test } from 'vitest'
import { driverContract } from '../../src/drivers/conformance/index.ts'
import { type Fault, makeFaultyDriver } from '../support/crash/faulty-driver.ts'

/** The names of the cases that a driver with `fault` fails. */
async function failedCases(fault?: Fault): Promise<string[]> {
  const { definition, look } = makeFaultyDriver(fault)
  const cases = driverContract({ definition, lifecycle: { options: {}, look, settleTime: 200 } })
  const failed: string[] = []
  for (const { name, run } of cases) await run().catch(() => failed.push(name))
  return failed
}

describe('the conformance suite', () => {
  test('passes a driver that keeps the contract', async () => {
    expect(await failedCases()).toEqual([])
  })

  test.each<[Fault, string]>([
    ['plan makes a key', 'plan makes nothing, and says what was decided'],
    ['looks for nothing before it makes', 'the same token is the same host, whatever was recorded'],
    ['forgets an orphaned server', 'goes on where a record failed, to one host'],
    ['records nothing', 'records the id and what was made before make resolves'],
    ['records no id', 'records the id and what was made before make resolves'],
    ['goes on when it cannot record', 'goes on where a record failed, to one host'],
    ['tags nothing', 'tags all that it makes'],
    ['tells nothing', 'make makes a host, and tells the steps'],
    ['leaves keys behind', 'remove removes all of a host and only that'],
    ['leaves keys behind', 'remove clears away what was cut short'],
    ['removes the whole fleet', 'remove removes all of a host and only that'],
    ['fails for what is gone', 'remove resolves for what is gone, or never was'],
    ['lists all fleets', 'list finds what exists of one fleet, and nothing of another'],
    ['takes gone for running', 'observe tells hosts that are there from those gone'],
    ['hangs when it is aborted', 'ends soon when it is aborted at any step that it tells'],
    [
      'hangs when it is aborted',
      'makes nothing and ends soon for a signal that is aborted already',
    ],
    [
      'makes a host though it is aborted',
      'makes nothing and ends soon for a signal that is aborted already',
    ],
    ['always wants a key', 'a host that exists needs no seed'],
    ['recalls what is gone', 'recalls no host by an id that is gone'],
    [
      'removes what somebody else made',
      'recalls a host by its id, to be observed and switched, and owns nothing of it',
    ],
    [
      'removes what somebody else made',
      'touches nothing that a record names and that was not made for it',
    ],
    [
      'switches what somebody else made',
      'touches nothing that a record names and that was not made for it',
    ],
    [
      'takes any record',
      'refuses a record with a token, an id or resources that fleet never writes',
    ],
    ['stops only what runs', 'switches a host, and leaves one alone that is in that state'],
  ])('fails one that %s: %s', async (fault, name) => {
    expect(await failedCases(fault)).toContain(name)
  })
})
