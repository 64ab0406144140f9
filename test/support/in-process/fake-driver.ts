import * as z from 'zod'
import { type FoundHost, type Snapshot, defineDriver } from '../../../src/drivers/driver.ts'
import { UserError } from '../../../src/errors.ts'
import type { HostRecord } from '../../../src/machine/machine.ts'

/** State of the fake provider. */
interface FakeCloud {
  /** Starts a host with this host key, in OpenSSH's format. Resolves to its port. */
  readonly boot: (privateKey: string) => Promise<number>
  readonly hosts: Map<string, { readonly found: FoundHost; state: 'running' | 'stopped' }>
  readonly snapshots: Map<string, Snapshot[]>
}

/** Creates a provider without hosts. */
export const openFakeCloud = (boot: FakeCloud['boot']): FakeCloud => ({
  boot,
  hosts: new Map(),
  snapshots: new Map(),
})

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString()

const missing = (name: string) => new UserError('usage', `there is no snapshot ${name}`)

/** Returns a driver of the provider that supports all operations of a driver, in memory. */
export function fakeDriver(cloud: () => FakeCloud) {
  const hostOf = ({ token = '' }: HostRecord) => {
    const host = cloud().hosts.get(token)
    if (host === undefined) throw new UserError('failed', 'the fake provider has no such host')
    return host
  }
  const switchTo = (state: 'running' | 'stopped') => async (record: HostRecord) => {
    hostOf(record).state = state
  }
  const snapshotsOf = ({ token = '' }: HostRecord) => cloud().snapshots.get(token) ?? []
  return defineDriver({
    name: 'fake',
    summary: 'Hosts in memory, for tests',
    options: z.strictObject({
      sshCidr: z.string().optional().describe('Ranges'),
      size: z.enum(['small', 'large']).default('small').describe('Size'),
      share: z.string().optional().describe('Folder of this computer'),
    }),
    grants: ({ share }) =>
      typeof share === 'string' ? [{ what: `folder ${share}`, path: share }] : [],
    isFree: true,
    load: async () => ({
      observe: async (records) =>
        new Map(
          [...records].map(([name, { token = '' }]) => {
            const state = cloud().hosts.get(token)?.state ?? 'absent'
            return [name, { state }]
          }),
        ),
      lifecycle: {
        plan: async ({ name, token, tags }) => ({
          resources: {},
          user: 'ops',
          userData: { maxBytes: 16_384, gzip: false },
          notes: ['a host in memory'],
          exists: cloud().hosts.has(token),
          async make({ userData }, { progress }) {
            progress('create the host')
            const { boot, hosts } = cloud()
            const [key = ''] =
              /-----BEGIN[^"]*END OPENSSH PRIVATE KEY-----/.exec(textOf(userData)) ?? []
            const port = await boot(key.replaceAll(String.raw`\n`, '\n').replaceAll(/\n +/g, '\n'))
            const record = { phase: 'creating' as const, token, id: `fake-${name}` }
            const found = { token, machine: name, record, parts: [`host fake-${name}`], tags }
            hosts.set(token, { found, state: 'running' })
            return { id: `fake-${name}`, address: '127.0.0.1', port, user: 'ops' }
          },
        }),
        remove: async ({ token = '' }) => void cloud().hosts.delete(token),
        list: async () => [...cloud().hosts.values()].map(({ found }) => found),
      },
      power: {
        start: switchTo('running'),
        stop: switchTo('stopped'),
        restart: switchTo('running'),
        kill: switchTo('stopped'),
      },
      update: { compare: async () => [], change: async () => ({}), disks: [] },
      sshAccess: {
        option: 'sshCidr',
        allowed: async () => ['203.0.113.7/32'],
        caller: async () => ['203.0.113.7/32'],
      },
      snapshots: {
        async save(record, name) {
          const created = '2026-01-01T00:00:00Z'
          const all = [...snapshotsOf(record), { name, created, isRunning: true }]
          cloud().snapshots.set(record.token ?? '', all)
        },
        async restore(record, name) {
          if (!snapshotsOf(record).some((one) => one.name === name)) throw missing(name)
        },
        list: async (record) => snapshotsOf(record),
        async remove(record, name) {
          const left = snapshotsOf(record).filter((one) => one.name !== name)
          if (left.length === snapshotsOf(record).length) throw missing(name)
          cloud().snapshots.set(record.token ?? '', left)
        },
      },
    }),
  })
}
