import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { DaemonConfig, Json } from '../../../../src/machine/engine-spec.ts'
import {
  compareDaemonConfig,
  formatDaemonConfig,
  mergeDaemonConfig,
  parseDaemonConfig,
  withoutDestructive,
} from '../../../../src/provision/engine/settings/daemon-config.ts'
import type { EngineSettings } from '../../../../src/provision/engine/settings/engine-settings.ts'

const nothing = { 'insecure-registries': [], 'registry-mirrors': [] }
const merge = (current: DaemonConfig, config: DaemonConfig, listed: object = {}): DaemonConfig =>
  mergeDaemonConfig(current, { config, listed: { ...nothing, ...listed } })
const effectsOf = (current: DaemonConfig, config: DaemonConfig, inUse = {}) =>
  Object.fromEntries(
    compareDaemonConfig(current, merge(current, config), inUse).map(({ option, effect }) => [
      option,
      effect,
    ]),
  )

const key = fc.constantFrom('debug', 'labels', 'log-opts', 'features', 'mtu', 'dns', 'runtimes')
const innerKey = fc.constantFrom('a', 'b', 'max-size', '__proto__', 'toString')
const scalar = fc.oneof(
  fc.boolean(),
  fc.integer({ min: -1e9, max: 1e9 }),
  fc.string({ maxLength: 8 }),
)
const { config: anyConfig } = fc.letrec<{ value: Json; config: DaemonConfig }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    scalar,
    fc.array(scalar, { maxLength: 3 }),
    fc
      .array(fc.tuple(innerKey, tie('value')), { maxLength: 3 })
      .map((entries) => Object.fromEntries(entries) as Json),
  ),
  config: fc
    .array(fc.tuple(key, tie('value')), { maxLength: 5 })
    .map((entries) => Object.fromEntries(entries) as DaemonConfig),
}))

/** Returns all values that are not objects with keys, with their paths. */
function leaves(value: Json | undefined, path: readonly string[] = []): [string, Json][] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return [[JSON.stringify(path), value ?? null]]
  }
  const entries = Object.entries(value)
  return entries.length === 0
    ? [[JSON.stringify(path), value]]
    : entries.flatMap(([name, item]) => leaves(item, [...path, name]))
}

const isObject = (value: Json): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Returns the leaves in `some` whose paths are also in `others`. */
const pick = (some: [string, Json][], others: [string, Json][]): Map<string, Json> => {
  const paths = new Set(others.map(([path]) => path))
  return new Map(some.filter(([path]) => paths.has(path)))
}

/** Returns whether `wanted` has a value at this path, above it or below it. */
const isNamed = (path: string, wanted: DaemonConfig): boolean =>
  leaves(wanted).some(([other]) => {
    const [a, b] = [JSON.parse(path) as string[], JSON.parse(other) as string[]]
    return a.slice(0, b.length).join('\0') === b.slice(0, a.length).join('\0')
  })

describe('merging engine settings into daemon.json', () => {
  test('keeps every key that the entry does not set, and sets the others', () => {
    fc.assert(
      fc.property(anyConfig, anyConfig, (hand, wanted) => {
        const merged = merge(hand, wanted)
        const kept = leaves(hand).filter(([path]) => path !== '[]' && !isNamed(path, wanted))
        const set = leaves(wanted).filter(([path, value]) => path !== '[]' && !isObject(value))
        expect(pick(leaves(merged), [...kept, ...set])).toEqual(new Map([...kept, ...set]))
        expect(merge(merged, wanted)).toEqual(merged)
        expect(compareDaemonConfig(merged, merge(merged, wanted), {})).toEqual([])
        const text = formatDaemonConfig(merged, '')
        expect(parseDaemonConfig(text, 'daemon.json')).toEqual(merged)
      }),
      { numRuns: 500 },
    )
  })

  test('keeps the order of keys and the indentation', () => {
    const text = '{\n\t"mtu": 1400,\n\t"debug": true,\n\t"dns": ["10.0.0.2"]\n}\n'
    const merged = merge(parseDaemonConfig(text, 'f'), { debug: false, labels: ['a=b'] })
    expect(formatDaemonConfig(merged, text)).toBe(
      '{\n\t"mtu": 1400,\n\t"debug": false,\n\t"dns": [\n\t\t"10.0.0.2"\n\t],\n\t"labels": [\n\t\t"a=b"\n\t]\n}\n',
    )
  })

  test('adds registries to those on the host without duplicates', () => {
    const listed = { 'insecure-registries': ['reg:5000'], 'registry-mirrors': ['https://m'] }
    const merged = merge(
      { 'insecure-registries': ['hand:1'], 'registry-mirrors': ['https://m/'] },
      {},
      listed,
    )
    expect(merged).toEqual({
      'insecure-registries': ['hand:1', 'reg:5000'],
      'registry-mirrors': ['https://m/'],
    })
    expect(merge(merged, {}, listed)).toEqual(merged)
  })

  test('removes a key that is set to null, at every level', () => {
    expect(
      merge(
        { debug: true, 'log-opts': { a: '1', b: '2' } },
        { debug: null, 'log-opts': { a: null } },
      ),
    ).toEqual({ 'log-opts': { b: '2' } })
  })
})

describe('a change to daemon.json', () => {
  test('is classified by whether it needs a restart or is destructive', () => {
    const inUse = { storageDriver: 'overlay2', dataRoot: '/var/lib/docker' }
    expect(
      effectsOf(
        { debug: true, mtu: 1400 },
        {
          ...{ labels: ['a=b'], 'registry-mirrors': ['https://m'], debug: null, mtu: 1500 },
          ...{ 'log-opts': { 'max-size': '10m' }, 'storage-driver': 'vfs', 'data-root': '/srv' },
          ...{ features: { 'containerd-snapshotter': true, buildkit: true } },
          'userns-remap': 'default',
        },
        inUse,
      ),
    ).toEqual({
      labels: 'live',
      'registry-mirrors': 'live',
      debug: 'restart',
      mtu: 'restart',
      'log-opts.max-size': 'restart',
      'storage-driver': 'destructive',
      'data-root': 'destructive',
      'features.containerd-snapshotter': 'destructive',
      'features.buildkit': 'live',
      'userns-remap': 'destructive',
    })
    expect(
      effectsOf({}, { 'storage-driver': 'overlay2', 'data-root': '/var/lib/docker/' }, inUse),
    ).toEqual({ 'storage-driver': 'restart', 'data-root': 'restart' })
  })

  test('hides credentials in a URL', () => {
    const [change] = compareDaemonConfig(
      { 'registry-mirrors': ['https://ana:secret@m.example.com'] },
      { 'registry-mirrors': [] },
      {},
    )
    expect(change?.from).toBe('["https://***@m.example.com"]')
  })

  test('is made without destructive keys if they are not confirmed', () => {
    const settings: EngineSettings = {
      ...{ config: { 'storage-driver': 'vfs', mtu: 1400 }, listed: nothing },
      ...{ environment: {}, certificates: {} },
    }
    expect(withoutDestructive({}, settings, { storageDriver: 'overlay2' }).config).toEqual({
      mtu: 1400,
    })
  })
})

test.each([
  ['{ "debug": tru }', /daemon\.json on the host is not valid JSON/],
  ['[]', /not a JSON object/],
  ['{ "mtu": 12345678901234567890 }', /number with more than 15 digits/],
  ['{ "data-root": "/srv/\uFFFD" }', /not valid UTF-8/],
  [`{ "a": ${'['.repeat(100_000)}${']'.repeat(100_000)} }`, /more than 64 levels/],
])('an unreadable daemon.json is not changed: %.40s', (text, message) => {
  expect(() => parseDaemonConfig(text, '/etc/docker/daemon.json')).toThrow(message)
})

test('an empty daemon.json has no settings', () => {
  expect(parseDaemonConfig('\n', 'f')).toEqual({})
  expect(parseDaemonConfig('{ "labels": ["1234567890123456789"] }', 'f')).toEqual({
    labels: ['1234567890123456789'],
  })
})
