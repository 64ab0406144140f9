import assert from 'node:assert/strict'
import type { DriverDefinition } from '../driver.ts'
import type { ContractCase, LifecycleUnderTest } from './driver-under-test.ts'
import {
  type Creation,
  type Fault,
  type Harness,
  atEachStep,
  callOf,
  findOnly,
  settle,
  withHarness,
} from './harness.ts'

/** Default of `settleTime`, in milliseconds. */
const defaultSettleTime = 5000

/** Interrupts the creation of a host at its `step`-th record. */
type Interruption = (step: number) => Fault & { readonly isReached: () => boolean }

/** The process dies before the record is written. */
const recordFails: Interruption = (step) => {
  let reached = false
  return {
    isReached: () => reached,
    beforeRecord(current) {
      if (current < step) return
      reached = true
      throw new Error('the disk is full')
    },
  }
}

/** The user aborts after the record is written. */
const abortsAfterRecord: Interruption = (step) => {
  const controller = new AbortController()
  return {
    signal: controller.signal,
    isReached: () => controller.signal.aborted,
    afterRecord(current) {
      if (current === step) controller.abort(new Error('aborted'))
    },
  }
}

/** A harness, and the number of resources that a host has if its creation is not interrupted. */
type InterruptedHarness = Harness & { readonly usualCount: number }

/** Checks that a second attempt creates only what is missing. */
async function checkResume(
  creation: Creation,
  { listResources, usualCount }: InterruptedHarness,
): Promise<void> {
  const leftover = new Set(await listResources())
  const { id } = await creation.make()
  const found = await findOnly(creation)
  assert.equal(found.record.id, id)
  const made = (await listResources()).filter((thing) => !leftover.has(thing))
  assert.ok(
    made.length <= usualCount,
    'the interrupted attempts created more resources than an uninterrupted one',
  )
}

/** Returns the cases that interrupt methods. */
export function interruptionCases(
  definition: DriverDefinition,
  subject: LifecycleUnderTest,
): ContractCase[] {
  const { settleTime = defaultSettleTime } = subject

  /**
   * Creates a host, and interrupts the creation at `step`. Resolves to `false` if the creation finished before that
   * step.
   */
  async function interrupt(
    creation: Creation,
    interruption: Interruption,
    step: number,
  ): Promise<boolean> {
    const { isReached, ...fault } = interruption(step)
    const attempt = creation.make(fault)
    if (fault.signal === undefined) {
      const error = await attempt.then(
        () => undefined,
        (error: unknown) => error,
      )
      if (isReached()) assert.ok(error, 'make continued although a resource could not be recorded')
      else if (error !== undefined) throw error
      return isReached()
    }
    const aborted = new Promise<void>((resolve) => {
      fault.signal?.addEventListener('abort', () => resolve())
    })
    await Promise.race([attempt.catch(() => {}), aborted])
    if (isReached()) await settle(attempt, settleTime, 'make')
    else await attempt
    return isReached()
  }

  const eachStep = (
    name: string,
    interruption: Interruption,
    afterwards: (creation: Creation, harness: InterruptedHarness) => Promise<void>,
  ): ContractCase => ({
    name,
    run: () =>
      withHarness(definition, subject, async (harness) => {
        const before = await harness.listResources()
        const complete = harness.begin('conformance-complete')
        await complete.make()
        const usualCount = (await harness.listResources()).length - before.length
        await complete.remove()
        await atEachStep(async (step) => {
          const creation = harness.begin('conformance-interrupted')
          const reached = await interrupt(creation, interruption, step)
          await afterwards(creation, { ...harness, usualCount })
          await creation.remove()
          assert.deepEqual(await harness.listResources(), before, 'resources were left behind')
          return reached
        })
      }),
  })

  return [
    eachStep(
      'resumes with the same host after a failure to write a record',
      recordFails,
      checkResume,
    ),
    eachStep('resumes with the same host after an abort', abortsAfterRecord, checkResume),
    eachStep('remove deletes what an interrupted attempt created', recordFails, async () => {}),
    {
      name: 'creates nothing and stops soon if the signal is already aborted',
      run: () =>
        withHarness(definition, subject, async ({ begin, listResources, lifecycle, driver }) => {
          const before = await listResources()
          const creation = begin('conformance-late')
          const call = callOf({ signal: AbortSignal.abort(new Error('too late')) })
          const plan = await creation.plan()
          const data = { publicKey: '', userData: new Uint8Array(), record: async () => {} }
          assert.equal(await settle(plan.make(data, call), settleTime, 'make'), 'rejected')
          await settle(creation.plan(call), settleTime, 'plan')
          await settle(creation.remove(call), settleTime, 'remove')
          const list = lifecycle.list({ id: creation.fleet, options: [subject.options] }, call)
          await settle(list, settleTime, 'list')
          const hosts = new Map([[creation.name, { ...creation.record(), id: 'none' }]])
          await settle(driver.observe(hosts, call), settleTime, 'observe')
          assert.deepEqual(await listResources(), before, 'resources were created')
        }),
    },
    {
      name: 'stops soon after an abort at any reported step',
      run: () =>
        withHarness(definition, subject, async ({ begin, listResources }) => {
          const before = await listResources()
          const steps: string[] = []
          const complete = begin('conformance-step')
          await complete.make({ progress: (step) => steps.push(step) })
          await complete.remove()
          for (const step of new Set(steps)) {
            const controller = new AbortController()
            const creation = begin('conformance-step')
            const progress = (current: string): void => {
              if (current === step) controller.abort(new Error('aborted'))
            }
            const attempt = creation.make({ signal: controller.signal, progress })
            const aborted = new Promise<void>((resolve) => {
              controller.signal.addEventListener('abort', () => resolve())
            })
            await Promise.race([attempt.catch(() => {}), aborted])
            await settle(attempt, settleTime, `make, at "${step}",`)
            await creation.remove()
          }
          assert.deepEqual(await listResources(), before, 'resources were left behind')
        }),
    },
  ]
}
