import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  keptReleases,
  outdatedReleases,
  releaseToRestore,
} from '../../../../src/operations/stacks/restorable-releases.ts'

const all = [
  { number: 1, state: 'ready' },
  { number: 2, state: 'failed' },
  { number: 3, state: 'ready' },
  { number: 4, state: 'deploying' },
] as const
const releases = { current: 3, all }

describe('the release that a rollback restores', () => {
  test.each([
    [undefined, 1],
    [1, 1],
    [3, 3],
  ])('with the requested release %s is %d', (to, number) => {
    expect(releaseToRestore(releases, to, { stack: 'shop' })).toMatchObject({ number })
  })

  test.each([
    [2, 'release 2 of stack shop cannot be restored, because its deployment did not succeed'],
    [4, 'release 4 of stack shop cannot be restored, because its deployment did not succeed'],
    [5, 'stack shop has no release 5'],
  ])('cannot be release %d, which is not ready or does not exist', (to, message) => {
    expect(() => releaseToRestore(releases, to, { stack: 'shop' })).toThrow(
      expect.objectContaining({ message, hint: 'releases that can be restored: 1, 3' }),
    )
  })

  test('must be older than the current one unless it is requested', () => {
    const later = { current: 3, all: all.slice(2) }
    expect(() => releaseToRestore(later, undefined, { stack: 'shop', machine: 'web-1' })).toThrow(
      'stack shop has no earlier release on web-1',
    )
  })
})

const numbered = (states: readonly ('ready' | 'failed')[]) =>
  states.map((state, index) => ({ number: index + 1, state }))

const outdated = (states: readonly ('ready' | 'failed')[], current: number) =>
  outdatedReleases({ current, all: numbered(states) }).map(({ number }) => number)

describe('the releases that are no longer kept', () => {
  test('do not include the last ready one, however many deployments failed after it', () => {
    const states = ['ready', 'failed', 'failed', 'failed', 'failed', 'failed', 'ready'] as const
    const many = states.map((state, index) => ({ number: index + 1, state }))
    expect(outdatedReleases({ current: 7, all: many })).toEqual([])
  })

  test('include failed ones that are older than the kept ready ones, or too many', () => {
    const ready = Array.from({ length: keptReleases + 1 }, () => 'ready' as const)
    expect(outdated(['failed', ...ready], 7)).toEqual([1, 2])
    const failed = Array.from({ length: 20 }, () => 'failed' as const)
    expect(outdated(['ready', ...failed], 1)).toEqual(
      Array.from({ length: 20 - keptReleases }, (_, index) => index + 2),
    )
  })

  test('do not include the newest ready ones and the current one', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('deploying' as const, 'ready' as const, 'failed' as const), {
          maxLength: 20,
        }),
        fc.nat(20),
        (states, at) => {
          const all = states.map((state, index) => ({ number: index + 1, state }))
          const ready = all.filter(({ state }) => state === 'ready')
          const current = ready[at % Math.max(1, ready.length)]?.number
          const outdated = outdatedReleases({ current, all })
          const kept = all.filter((one) => !outdated.includes(one))
          expect(kept.filter(({ state }) => state === 'ready').length).toBeLessThanOrEqual(
            keptReleases + 1,
          )
          for (const one of ready.slice(-keptReleases)) expect(kept).toContain(one)
          expect(outdated.map(({ number }) => number)).not.toContain(current)
        },
      ),
    )
  })
})
