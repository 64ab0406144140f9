import { describe, expect, test } from 'vitest'
import { engineSpec } from '../../../src/machine/engine-spec.ts'
import { mergeEngine } from '../../../src/machine/profiles.ts'

const problemOf = (spec: unknown): string => {
  const issue = engineSpec.safeParse(spec).error?.issues[0]
  return issue === undefined ? 'accepted' : JSON.stringify(issue)
}
const deep = (levels: number): unknown => (levels === 0 ? 1 : { a: deep(levels - 1) })

describe('engine settings', () => {
  test.each([
    [
      {
        config: {
          'log-driver': 'local',
          'log-opts': { 'max-size': '10m' },
          mtu: 1400,
          debug: null,
        },
      },
    ],
    [{ environment: { HTTP_PROXY: 'http://proxy.example.com:3128', no_proxy: null } }],
    [{ registries: { 'reg.example.com:5000': { ca: 'certs/reg.pem' }, reg: { insecure: true } } }],
    [{ registries: { 'docker.io': { mirror: ['https://a.example.com', 'http://b:5000'] } } }],
    [{ repository: 'https://mirror.example.com/docker/linux', channel: 'stable' }],
  ])('%j are accepted', (spec) => expect(problemOf(spec)).toBe('accepted'))

  test.each([
    [{ config: { hosts: ['tcp://0.0.0.0:2375'] } }, /Unix socket through SSH/],
    [{ config: { tlsverify: true } }, /not through a TCP port/],
    [{ config: { graph: '/srv' } }, /data-root/],
    [{ config: { labels: ['a\nb'] } }, /single-line/],
    [{ config: { 'log-opts': { 'a\nb': 'x' } } }, /single-line/],
    [{ config: { 'Log-Driver': 'local' } }, /key of daemon.json/],
    [{ config: { mtu: 2 ** 60 } }, /numbers/],
    [{ config: { features: deep(20) } }, /levels/],
    [{ config: { labels: Array.from({ length: 2000 }, () => 'x'.repeat(20)) } }, /32 KiB/],
    [{ environment: { LD_PRELOAD: '/tmp/x.so' } }, /PATH/],
    [{ environment: { 'A B': 'x' } }, /environment variable/],
    [{ environment: { A: 'x\nExecStartPre=/bin/evil' } }, /single line/],
    [{ registries: { '../../etc': { insecure: true } } }, /HOST/],
    [{ registries: { 'reg/x': { insecure: true } } }, /HOST/],
    [{ registries: { reg: { ca: '../key.pem' } } }, /directory/],
    [{ registries: { reg: { ca: '/etc/shadow' } } }, /directory/],
    [{ registries: { reg: { ca: '~/.ssh/id_ed25519' } } }, /directory/],
    [{ registries: { reg: { insecure: true, ca: 'a.pem' } } }, /not both/],
    [{ registries: { reg: { mirror: 'https://m.example.com' } } }, /only for docker.io/],
    [{ registries: { 'docker.io': { insecure: true } } }, /only/],
    [
      { registries: { 'docker.io': { mirror: 'https://ana:pw@m.example.com' } } },
      /without credentials/,
    ],
    [{ repository: 'https://m.example.com/$(id)' }, /URL/],
    [{ repository: 'https://m.example.com', channel: 'distribution' }, /stable/],
  ])('%j are refused, with the reason', (spec, reason) => expect(problemOf(spec)).toMatch(reason))
})

describe('merging the engine settings of a profile and a machine', () => {
  test('merges keys one by one, and replaces version and channel together', () => {
    expect(
      mergeEngine(
        {
          ...{ version: '28.2', repository: 'https://m.example.com' },
          ...{ config: { debug: true, mtu: 1400 }, environment: { A: '1' } },
          registries: { a: { insecure: true } },
        },
        { channel: 'test', config: { mtu: 1500 }, registries: { b: { insecure: true } } },
      ),
    ).toEqual({
      ...{ channel: 'test', repository: 'https://m.example.com' },
      ...{ config: { debug: true, mtu: 1500 }, environment: { A: '1' } },
      registries: { a: { insecure: true }, b: { insecure: true } },
    })
  })

  test.each([
    [{ config: { debug: true } }, undefined, { config: { debug: true } }],
    [{ config: { debug: true } }, 'none', 'none'],
    ['none', { version: '28' }, { version: '28' }],
    [{ repository: 'https://m' }, { channel: 'distribution' }, { channel: 'distribution' }],
  ] as const)('merges %j and %j into %j', (profile, machine, merged) => {
    expect(mergeEngine(profile, machine)).toEqual(merged)
  })
})
