import { UserError } from '../errors.ts'
import { hiddenCharacter } from '../machine/hidden-characters.ts'
import type { HostRecord } from '../machine/machine.ts'
import { idPattern, longestNote, noteKeyPattern, tokenPattern } from '../machine/record-patterns.ts'
import type { Driver, Lifecycle, Power, Snapshots } from './driver.ts'
import type { Reshape } from './update.ts'
import type { SshAccess } from './net/ssh-access.ts'

/** The fields of a record that a driver acts on. */
type Claims = Pick<HostRecord, 'token' | 'id' | 'resources'>

const wrong = (what: string, value: string): UserError =>
  new UserError(
    'inventory',
    `invalid ${what} in the record: ${JSON.stringify(value.slice(0, 100))}`,
    {
      hint: 'check who last changed the inventory: git log -p machines.yaml',
    },
  )

function check({ token, id, resources = {} }: Claims): void {
  if (token !== undefined && !tokenPattern.test(token)) throw wrong('token', token)
  if (id !== undefined && !idPattern.test(id)) throw wrong('id', id)
  for (const [key, value] of Object.entries(resources)) {
    if (!noteKeyPattern.test(key)) throw wrong('resource key', key)
    if (value.length > longestNote || hiddenCharacter.test(value)) {
      throw wrong(`resource ${key}`, value)
    }
  }
}

/** Wraps a method whose first argument is a record, so that the record is checked first. */
const checking =
  <Host extends Claims, Rest extends readonly unknown[], Result>(
    method: (host: Host, ...rest: Rest) => Promise<Result>,
  ) =>
  async (host: Host, ...rest: Rest): Promise<Result> => {
    check(host)
    return method(host, ...rest)
  }

const checkLifecycle = <Options>(lifecycle: Lifecycle<Options>): Lifecycle<Options> => ({
  plan: checking((...call: Parameters<typeof lifecycle.plan>) => lifecycle.plan(...call)),
  remove: checking((...call: Parameters<typeof lifecycle.remove>) => lifecycle.remove(...call)),
  list: lifecycle.list.bind(lifecycle),
})

const checkPower = (power: Power): Power => ({
  start: checking((...call: Switched) => power.start(...call)),
  stop: checking((...call: Switched) => power.stop(...call)),
  restart: checking((...call: Switched) => power.restart(...call)),
  kill: checking((...call: Switched) => power.kill(...call)),
})
type Switched = Parameters<Power['start']>

const checkSnapshots = (snapshots: Snapshots): Snapshots => ({
  save: checking((...call: Kept) => snapshots.save(...call)),
  restore: checking((...call: Kept) => snapshots.restore(...call)),
  list: checking((...call: Parameters<Snapshots['list']>) => snapshots.list(...call)),
  remove: checking((...call: Kept) => snapshots.remove(...call)),
})
type Kept = Parameters<Snapshots['save']>

const checkReshape = <Options>(reshape: Reshape<Options>): Reshape<Options> => ({
  disks: reshape.disks,
  compare: checking((...call: Parameters<typeof reshape.compare>) => reshape.compare(...call)),
  change: checking((...call: Parameters<typeof reshape.change>) => reshape.change(...call)),
})

const checkSshAccess = (access: SshAccess): SshAccess => ({
  option: access.option,
  allowed: checking((...call: Parameters<SshAccess['allowed']>) => access.allowed(...call)),
  caller: checking((...call: Parameters<SshAccess['caller']>) => access.caller(...call)),
})

/**
 * Wraps a driver so that it only gets records that fleet could have written: everyone who can push
 * to the repository of the inventory can edit a record. Throws kind `inventory` for other records,
 * before the driver sees them.
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
  ...(driver.update && { update: checkReshape(driver.update) }),
  ...(driver.sshAccess && { sshAccess: checkSshAccess(driver.sshAccess) }),
})
