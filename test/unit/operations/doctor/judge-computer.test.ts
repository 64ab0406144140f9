import { describe, expect, test } from 'vitest'
import { commonOffset } from '../../../../src/operations/doctor/doctor.ts'
import {
  type ComputerObservation,
  judgeComputer,
} from '../../../../src/operations/doctor/judge-computer.ts'
import type { Observation } from '../../../../src/operations/doctor/observation.ts'

const good: ComputerObservation = {
  ...{ node: '22.12.0', platform: 'linux', inventory: { machines: 3 } },
  home: [{ path: '/home/ana/.fleet', mode: 0o700, isForeign: false }],
  userHome: { path: '/home/ana', mode: 0o755, isForeign: false },
  agent: { socket: '/run/agent', keys: ['SHA256:a'] },
  docker: { version: 'Docker version 28', compose: '2.40', context: 'default', isMissing: false },
  providers: [{ driver: 'aws' }],
  broker: { pid: 1, connections: 2 },
}
const findings = (seen: ComputerObservation) =>
  judgeComputer(seen).filter(({ state }) => state === 'fail' || state === 'warn')

test('a computer on which everything works has no findings', () => {
  expect(findings(good)).toEqual([])
  const { agent: _agent, docker: _docker, ...bare } = good
  expect(findings({ ...bare, broker: 'off', providers: [] })).toEqual([])
})

describe('a computer with a problem', () => {
  test.each([
    ['node', 'fail', /requires 20\.19 or later/, { node: '20.18.1' }],
    ['home', 'fail', /mode 755/, { home: [{ path: '/f', mode: 0o755, isForeign: false }] }],
    ['home', 'fail', /another user/, { home: [{ path: '/f', mode: 0o700, isForeign: true }] }],
    ['inventory', 'fail', /broken/, { inventory: { message: 'it is broken' } }],
    ['agent', 'warn', /does not answer: gone/, { agent: { socket: '/s', problem: 'gone' } }],
    [
      'context',
      'warn',
      /context web-1 uses a socket that does not exist/,
      { docker: { compose: '', context: 'web-1', isMissing: true } },
    ],
    [
      'providers',
      'fail',
      /aws: the token has expired/,
      {
        providers: [
          { driver: 'aws', isLogin: true, problem: { message: 'the token has expired' } },
        ],
      },
    ],
    [
      'providers',
      'warn',
      /timeout/,
      { providers: [{ driver: 'aws', problem: { message: 'timeout' } }] },
    ],
    ['broker', 'fail', /does not respond/, { broker: { message: 'it does not respond' } }],
    ['clock', 'fail', /3600 s behind/, { hostsAhead: 3_600 }],
  ] satisfies [string, string, RegExp, Partial<ComputerObservation>][])(
    'has the finding %s: %s %s',
    (check, state, says, more) => {
      expect(findings({ ...good, ...more })).toEqual([
        { check, state, message: expect.stringMatching(says), fix: expect.stringMatching(/./) },
      ])
    },
  )
})

const at = (clock: number) =>
  ({ facts: { clock }, asked: { from: 1_000, to: 1_001 } }) as unknown as Observation

describe('the clock offset of this computer', () => {
  test.each([
    [[at(4_600), at(4_601), at(4_599)], 3_599],
    [[at(4_600), at(1_000), at(1_000)], 0],
    [[at(4_600), at(4_600)], undefined],
    [[at(1_000), at(1_000), at(1_001)], 0],
  ])('is the offset on which most hosts agree', (seen, offset) => {
    expect(commonOffset(seen)).toBe(offset)
  })
})
