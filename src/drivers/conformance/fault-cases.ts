import assert from 'node:assert/strict'
import type { DriverDefinition } from '../driver.ts'
import type { ContractCase, LifecycleSubject } from './driver-under-test.ts'
import {
  type Creation,
  type Fault,
  type Harness,
  atEachStep,
  callOf,
  findOnly,
  settle,
  withTrial,
} from './harness.ts'

/** Default of `settleTime`, in milliseconds. */
const usualSettleTime = 5000

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
const isAborted: Interruption = (step) => {
  const controller = new AbortController()
  return {
    signal: controller.signal,
    isReached: () => controller.signal.aborted,
    afterRecord(current) {
      if (current === step) controller.abort(new Error('enough'))
    },
  }
}

/** A harness, and the number of resources of a host that is created without interruption. */
type Cut = Harness & { readonly clean: number }

/** Checks that a second attempt creates only what is missing. */
async function finishes(creation: Creation, { look, clean }: Cut): Promise<void> {
  const leftover = new Set(await look())
  const { id } = await creation.make()
  const found = await findOnly(creation)
  assert.equal(found.record.id, id)
  const made = (await look()).filter((thing) => !leftover.has(thing))
  assert.ok(made.length <= clean, 'more was made than for a host that is made in one go')
}

/** Cases for the interruption of methods. */
export function interruptionCases(
  definition: DriverDefinition,
  subject: LifecycleSubject,
): ContractCase[] {
  const { settleTime = usualSettleTime } = subject

  /**
   * Creates a host until it is interrupted at `step`. Resolves to `false` if it finished before.
   */
  async function interrupt(
    creation: Creation,
    interruption: Interruption,
    step: number,
  ): Promise<boolean> {
    const { isReached, ...disturbance } = interruption(step)
    const making = creation.make(disturbance)
    if (disturbance.signal === undefined) {
      const error = await making.then(
        () => undefined,
        (error: unknown) => error,
      )
      if (isReached()) assert.ok(error, 'make goes on though what it made could not be recorded')
      else if (error !== undefined) throw error
      return isReached()
    }
    const aborted = new Promise<void>((resolve) => {
      disturbance.signal?.addEventListener('abort', () => resolve())
    })
    await Promise.race([making.catch(() => {}), aborted])
    if (isReached()) await settle(making, settleTime, 'make')
    else await making
    return isReached()
  }

  const eachStep = (
    name: string,
    interruption: Interruption,
    afterwards: (creation: Creation, trial: Cut) => Promise<void>,
  ): ContractCase => ({
    name,
    run: () =>
      withTrial(definition, subject, async (trial) => {
        const before = await trial.look()
        const whole = trial.begin('conformance-whole')
        await whole.make()
        const clean = (await trial.look()).length - before.length
        await whole.remove()
        await atEachStep(async (step) => {
          const creation = trial.begin('conformance-cut')
          const reached = await interrupt(creation, interruption, step)
          await afterwards(creation, { ...trial, clean })
          await creation.remove()
          assert.deepEqual(await trial.look(), before, 'something is left behind')
          return reached
        })
      }),
  })

  return [
    eachStep('goes on where a record failed, to one host', recordFails, finishes),
    eachStep('goes on where it was aborted, to one host', isAborted, finishes),
    eachStep('remove clears away what was cut short', recordFails, async () => {}),
    {
      name: 'makes nothing and ends soon for a signal that is aborted already',
      run: () =>
        withTrial(definition, subject, async ({ begin, look, lifecycle, driver }) => {
          const before = await look()
          const creation = begin('conformance-late')
          const call = callOf({ signal: AbortSignal.abort(new Error('too late')) })
          const plan = await creation.plan()
          const seed = { publicKey: '', userData: new Uint8Array(), record: async () => {} }
          assert.equal(await settle(plan.make(seed, call), settleTime, 'make'), 'rejected')
          await settle(creation.plan(call), settleTime, 'plan')
          await settle(creation.remove(call), settleTime, 'remove')
          const list = lifecycle.list({ id: creation.fleet, options: [subject.options] }, call)
          await settle(list, settleTime, 'list')
          const hosts = new Map([[creation.name, { ...creation.record(), id: 'none' }]])
          await settle(driver.observe(hosts, call), settleTime, 'observe')
          assert.deepEqual(await look(), before, 'something was made')
        }),
    },
    {
      name: 'ends soon when it is aborted at any step that it tells',
      run: () =>
        withTrial(definition, subject, async ({ begin, look }) => {
          const before = await look()
          const steps: string[] = []
          const whole = begin('conformance-told')
          await whole.make({ progress: (step) => steps.push(step) })
          await whole.remove()
          for (const step of new Set(steps)) {
            const controller = new AbortController()
            const creation = begin('conformance-told')
            const progress = (told: string): void => {
              if (told === step) controller.abort(new Error('enough'))
            }
            const making = creation.make({ signal: controller.signal, progress })
            const aborted = new Promise<void>((resolve) => {
              controller.signal.addEventListener('abort', () => resolve())
            })
            await Promise.race([making.catch(() => {}), aborted])
            await settle(making, settleTime, `make, at "${step}",`)
            await creation.remove()
          }
          assert.deepEqual(await look(), before, 'something is left behind')
        }),
    },
  ]
}
