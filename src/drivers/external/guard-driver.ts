import { UserError, messageOf } from '../../errors.ts'
import type { Call, Driver, HostPlan, Lifecycle, Power, Snapshots } from '../driver.ts'
import type { PeerAccess } from '../net/peer-access.ts'
import type { SshAccess } from '../net/ssh-access.ts'
import type { Update } from '../update.ts'

/** Describes a bug for the driver's author, with the message and the first line of the stack. */
function describeBug(thrown: unknown): string {
  const frame = thrown instanceof Error ? /^\s*at .*$/m.exec(thrown.stack ?? '')?.[0].trim() : ''
  return frame ? `${messageOf(thrown)} (${frame})` : messageOf(thrown)
}

/** Runs `method`, a driver's method that received `call`. */
type Run = <Result>(call: Call | undefined, method: () => Promise<Result>) => Promise<Result>

/**
 * Reports errors that are not for the user as a bug of the package `label`, unless the call was
 * aborted.
 */
const runFor =
  (label: string): Run =>
  async (call, method) => {
    try {
      return await method()
    } catch (error) {
      call?.signal.throwIfAborted() // an aborted call rejects with its signal's abort reason
      if (error instanceof UserError) throw error
      throw new UserError('failed', `${label} has a bug: ${describeBug(error)}`, {
        hint: 'report the problem to the package author',
        cause: error,
      })
    }
  }

const guardPlan = (run: Run, plan: HostPlan): HostPlan => ({
  resources: plan.resources,
  user: plan.user,
  userData: plan.userData,
  ...(plan.bootCommands && { bootCommands: plan.bootCommands }),
  disk: plan.disk,
  notes: plan.notes,
  exists: plan.exists,
  make: (data, call) => run(call, () => plan.make(data, call)),
})

const guardLifecycle = (run: Run, lifecycle: Lifecycle): Lifecycle => ({
  plan: (spec, options, call) =>
    run(call, async () => guardPlan(run, await lifecycle.plan(spec, options, call))),
  remove: (host, call) => run(call, () => lifecycle.remove(host, call)),
  list: (fleet, call) => run(call, () => lifecycle.list(fleet, call)),
})

const guardPower = (run: Run, power: Power): Power => ({
  start: (host, call) => run(call, () => power.start(host, call)),
  stop: (host, call) => run(call, () => power.stop(host, call)),
  restart: (host, call) => run(call, () => power.restart(host, call)),
  kill: (host, call) => run(call, () => power.kill(host, call)),
})

const guardSnapshots = (run: Run, snapshots: Snapshots): Snapshots => ({
  save: (host, name, call) => run(call, () => snapshots.save(host, name, call)),
  restore: (host, name, call) => run(call, () => snapshots.restore(host, name, call)),
  list: (host, call) => run(call, () => snapshots.list(host, call)),
  remove: (host, name, call) => run(call, () => snapshots.remove(host, name, call)),
})

const guardUpdate = (run: Run, update: Update): Update => ({
  disks: update.disks,
  compare: (host, options, status, call) =>
    run(call, () => update.compare(host, options, status, call)),
  change: (host, request, call) => run(call, () => update.change(host, request, call)),
})

const guardSshAccess = (run: Run, access: SshAccess): SshAccess => {
  return {
    option: access.option,
    allowed: (host) => run(undefined, () => access.allowed(host)),
    caller: (host, call) => run(call, () => access.caller(host, call)),
    ...(access.blockedBy && {
      blockedBy: (host, range, call) =>
        run(call, async () => access.blockedBy?.(host, range, call)),
    }),
  }
}

const guardPeerAccess = (run: Run, access: PeerAccess): PeerAccess => ({
  observe: (hosts, group, call) => run(call, () => access.observe(hosts, group, call)),
  open: (host, group, record, call) => run(call, () => access.open(host, group, record, call)),
  close: (host, group, call) => run(call, () => access.close(host, group, call)),
})

/**
 * Wraps a package's driver so that its bugs are reported with the package's `label` and not as bugs in fleet, and so
 * that an aborted call rejects with its signal's abort reason.
 */
export function guardDriver(driver: Driver, label: string): Driver {
  const run = runFor(label)
  const locate = driver.locate?.bind(driver)
  const describeExisting = driver.describeExisting?.bind(driver)
  const { lifecycle, power, snapshots, update, sshAccess, peerAccess } = driver
  return {
    ...(locate && {
      locate: (name, options, call) => run(call, () => locate(name, options, call)),
    }),
    ...(describeExisting && {
      describeExisting: (id, options, call) => run(call, () => describeExisting(id, options, call)),
    }),
    observe: (hosts, call) => run(call, () => driver.observe(hosts, call)),
    ...(lifecycle && { lifecycle: guardLifecycle(run, lifecycle) }),
    ...(power && { power: guardPower(run, power) }),
    ...(snapshots && { snapshots: guardSnapshots(run, snapshots) }),
    ...(update && { update: guardUpdate(run, update) }),
    ...(sshAccess && { sshAccess: guardSshAccess(run, sshAccess) }),
    ...(peerAccess && { peerAccess: guardPeerAccess(run, peerAccess) }),
  }
}
