import { UserError } from '../errors.ts'
import { hiddenCharacter } from '../machine/hidden-characters.ts'
import type { HostRecord } from '../machine/machine.ts'
import {
  idPattern,
  maxResourceLength,
  resourceKeyPattern,
  tokenPattern,
} from '../machine/record-patterns.ts'
import type { Driver, Lifecycle, Power, Snapshots } from './driver.ts'
import type { Update } from './update.ts'
import type { PeerAccess } from './net/peer-access.ts'
import type { SshAccess } from './net/ssh-access.ts'

/** The fields of a record that a driver acts on. */
type RecordFields = Pick<HostRecord, 'token' | 'id' | 'resources'>

const invalidRecord = (what: string, value: string): UserError =>
  new UserError(
    'inventory',
    `invalid ${what} under "host:" in the inventory: ${JSON.stringify(value.slice(0, 100))}`,
    {
      hint: 'check who last changed the inventory: git log -p machines.yaml',
    },
  )

function check({ token, id, resources = {} }: RecordFields): void {
  if (token !== undefined && !tokenPattern.test(token)) throw invalidRecord('token', token)
  if (id !== undefined && !idPattern.test(id)) throw invalidRecord('ID', id)
  for (const [key, value] of Object.entries(resources)) {
    if (!resourceKeyPattern.test(key)) throw invalidRecord('resource key', key)
    if (value.length > maxResourceLength || hiddenCharacter.test(value)) {
      throw invalidRecord(`resource ${key}`, value)
    }
  }
}

/** Wraps a method whose first argument is a record, so that the record is checked first. */
const withCheckedRecord =
  <Host extends RecordFields, Rest extends readonly unknown[], Result>(
    method: (host: Host, ...rest: Rest) => Promise<Result>,
  ) =>
  async (host: Host, ...rest: Rest): Promise<Result> => {
    check(host)
    return method(host, ...rest)
  }

const checkLifecycle = <Options>(lifecycle: Lifecycle<Options>): Lifecycle<Options> => ({
  plan: withCheckedRecord((...call: Parameters<typeof lifecycle.plan>) => lifecycle.plan(...call)),
  remove: withCheckedRecord((...call: Parameters<typeof lifecycle.remove>) =>
    lifecycle.remove(...call),
  ),
  list: lifecycle.list.bind(lifecycle),
})

const checkPower = (power: Power): Power => ({
  start: withCheckedRecord((...call: PowerArguments) => power.start(...call)),
  stop: withCheckedRecord((...call: PowerArguments) => power.stop(...call)),
  restart: withCheckedRecord((...call: PowerArguments) => power.restart(...call)),
  kill: withCheckedRecord((...call: PowerArguments) => power.kill(...call)),
})
type PowerArguments = Parameters<Power['start']>

const checkSnapshots = (snapshots: Snapshots): Snapshots => ({
  save: withCheckedRecord((...call: SnapshotArguments) => snapshots.save(...call)),
  restore: withCheckedRecord((...call: SnapshotArguments) => snapshots.restore(...call)),
  list: withCheckedRecord((...call: Parameters<Snapshots['list']>) => snapshots.list(...call)),
  remove: withCheckedRecord((...call: SnapshotArguments) => snapshots.remove(...call)),
})
type SnapshotArguments = Parameters<Snapshots['save']>

const checkUpdate = <Options>(update: Update<Options>): Update<Options> => ({
  disks: update.disks,
  compare: withCheckedRecord((...call: Parameters<typeof update.compare>) =>
    update.compare(...call),
  ),
  change: withCheckedRecord((...call: Parameters<typeof update.change>) => update.change(...call)),
})

const checkSshAccess = (access: SshAccess): SshAccess => ({
  option: access.option,
  allowed: withCheckedRecord((...call: Parameters<SshAccess['allowed']>) =>
    access.allowed(...call),
  ),
  caller: withCheckedRecord((...call: Parameters<SshAccess['caller']>) => access.caller(...call)),
  ...(access.blockedBy && {
    blockedBy: withCheckedRecord(
      (...call: Parameters<NonNullable<SshAccess['blockedBy']>>) =>
        access.blockedBy?.(...call) ?? Promise.resolve(undefined),
    ),
  }),
})

const checkPeerAccess = (access: PeerAccess): PeerAccess => ({
  async observe(hosts, group, call) {
    for (const host of hosts.values()) check(host)
    return access.observe(hosts, group, call)
  },
  open: withCheckedRecord((...call: Parameters<PeerAccess['open']>) => access.open(...call)),
  close: withCheckedRecord((...call: Parameters<PeerAccess['close']>) => access.close(...call)),
})

/**
 * Wraps a driver so that it receives only records that fleet could have written, because anyone who can push to the
 * inventory's repository can edit a record. The methods throw kind `inventory` for other records before the driver sees
 * them.
 */
export const checkRecords = <Options>(driver: Driver<Options>): Driver<Options> => ({
  ...(driver.locate && { locate: driver.locate.bind(driver) }),
  ...(driver.describeExisting && { describeExisting: driver.describeExisting.bind(driver) }),
  async observe(hosts, call) {
    for (const host of hosts.values()) check(host)
    return driver.observe(hosts, call)
  },
  ...(driver.lifecycle && { lifecycle: checkLifecycle(driver.lifecycle) }),
  ...(driver.power && { power: checkPower(driver.power) }),
  ...(driver.snapshots && { snapshots: checkSnapshots(driver.snapshots) }),
  ...(driver.update && { update: checkUpdate(driver.update) }),
  ...(driver.sshAccess && { sshAccess: checkSshAccess(driver.sshAccess) }),
  ...(driver.peerAccess && { peerAccess: checkPeerAccess(driver.peerAccess) }),
})
