import { describe, expect, test } from 'vitest'
import {
  type SwarmRelease,
  chooseSwarmRelease,
} from '../../../../src/operations/swarm-stacks/releases.ts'

const release = (
  number: number,
  state: SwarmRelease['state'],
  isCurrent = false,
): SwarmRelease => ({
  ...{ number, state, isCurrent, by: 'ana@laptop', at: '2026-01-02T03:04:05Z' },
  object: {
    ID: `id-${number}`,
    Version: { Index: 1 },
    Spec: { Name: `shop-${number}`, Labels: {} },
  },
})

const releases = [
  release(1, 'ready'),
  release(2, 'failed'),
  release(3, 'ready', true),
  release(4, 'deploying'),
]

describe('the release that a rollback restores', () => {
  test.each([
    [undefined, 1],
    [1, 1],
    [3, 3],
  ])('with the requested release %s is %d', (to, number) => {
    expect(chooseSwarmRelease('shop', releases, to)).toMatchObject({ number })
  })

  test.each([2, 4, 5])('cannot be release %d, which is not ready or does not exist', (to) => {
    expect(() => chooseSwarmRelease('shop', releases, to)).toThrow(
      expect.objectContaining({
        message: `stack shop has no release ${to}`,
        hint: 'releases that can be restored: 1, 3',
      }),
    )
  })

  test('must be older than the current one unless it is requested', () => {
    expect(() => chooseSwarmRelease('shop', releases.slice(2), undefined)).toThrow(
      'stack shop has no earlier release',
    )
  })
})
