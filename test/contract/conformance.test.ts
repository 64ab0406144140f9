import { describe, expect, test } from 'vitest'
import { driverContract } from '../../src/drivers/conformance/index.ts'
import { type Fault, makeFaultyDriver } from '../support/crash/faulty-driver.ts'

/** Returns the names of the conformance cases that a driver with `fault` fails. */
async function failedCases(fault?: Fault): Promise<string[]> {
  const { definition, listResources } = makeFaultyDriver(fault)
  const cases = driverContract({
    definition,
    lifecycle: { options: {}, listResources, settleTime: 2000 },
  })
  const failed: string[] = []
  for (const { name, run } of cases) await run().catch(() => failed.push(name))
  return failed
}

describe('the conformance suite', () => {
  test('passes a driver that keeps the contract', async () => {
    expect(await failedCases()).toEqual([])
  })

  test.each<[Fault, string]>([
    ['creates a key in plan', 'plan creates nothing and describes its decisions'],
    [
      'does not look for existing resources',
      'returns the same host for the same token, even after the record is lost',
    ],
    ['forgets an orphaned server', 'resumes with the same host after a failure to write a record'],
    ['records nothing', 'records the ID and the resources before make resolves'],
    ['records no ID', 'records the ID and the resources before make resolves'],
    [
      'continues when it cannot record',
      'resumes with the same host after a failure to write a record',
    ],
    ['does not tag its resources', 'tags everything that it creates'],
    ['reports no steps', 'make creates a host and reports its steps'],
    ['leaves keys behind', "remove deletes all of a host's resources and nothing else"],
    ['leaves keys behind', 'remove deletes what an interrupted attempt created'],
    ['removes the whole fleet', "remove deletes all of a host's resources and nothing else"],
    ['fails to remove a deleted host', 'remove resolves if the host was deleted or never existed'],
    ['lists the hosts of all fleets', "list does not return another fleet's hosts"],
    ['reports deleted hosts as running', 'observe distinguishes existing hosts from deleted ones'],
    ['hangs after an abort', 'stops soon after an abort at any reported step'],
    ['hangs after an abort', 'creates nothing and stops soon if the signal is already aborted'],
    [
      'creates a host after an abort',
      'creates nothing and stops soon if the signal is already aborted',
    ],
    ['always requires a public key', 'returns an existing host without requiring bootstrap data'],
    ['describes a deleted host', 'rejects the ID of a deleted host'],
    [
      'removes resources of others',
      'describes an existing host, which fleet can inspect and start but does not own',
    ],
    [
      'removes resources of others',
      'does not change recorded resources that were not created for the host',
    ],
    [
      'starts and stops hosts of others',
      'does not change recorded resources that were not created for the host',
    ],
    ['accepts any record', 'rejects records that fleet cannot have written'],
    [
      'fails to stop a stopped host',
      "changes a host's power state, and succeeds if the host is already in that state",
    ],
  ])('fails a driver that %s: %s', async (fault, name) => {
    expect(await failedCases(fault)).toContain(name)
  })
})
