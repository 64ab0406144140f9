import { cacheCallerAddress } from '../net/caller-address.ts'
import { allowsSsh } from './network/allows-ssh.ts'
import { recordedSshAccess } from '../net/ssh-access.ts'
import type { Call, Driver } from '../driver.ts'
import { type Timeouts, azureTimeouts, trackCall, openAzure } from './api/azure-api.ts'
import type { AzureOptions } from './options.ts'
import { changeHost } from './machine/change.ts'
import { compareHost } from './machine/compare.ts'
import { explainError } from './api/errors.ts'
import { requireLocation } from './create/host-location.ts'
import { listHosts } from './machine/list.ts'
import { observeHosts } from './machine/observe.ts'
import { planHost } from './create/plan.ts'
import { switchPower } from './machine/power.ts'
import { describeExistingMachine } from './create/describe-existing.ts'
import { removeHost } from './machine/remove.ts'
import { joinPeerGroup, leavePeerGroup, observePeerGroup } from './network/peer-group.ts'
import type { Environment } from '../../os/environment.ts'

/** Runs `work`, reports the SDK's waits as progress, and turns the SDK's errors into errors for the user. */
async function withExplainedErrors<T>(call: Call, work: (call: Call) => Promise<T>): Promise<T> {
  const { signal } = call
  try {
    signal.throwIfAborted()
    return await trackCall(call, work)
  } catch (error) {
    throw explainError(error, signal)
  }
}

/** Creates the Azure driver. The environment determines the login, and also the subscription if no option sets it. */
export function azureDriver(
  env: Environment,
  timeouts: Timeouts = azureTimeouts,
): Driver<AzureOptions> {
  const openApi = openAzure(env, timeouts)
  const getCallerAddress = cacheCallerAddress(env)
  const power = switchPower(openApi)
  return {
    describeExisting: (id, options, call) =>
      withExplainedErrors(call, (call) =>
        describeExistingMachine({ openApi, env }, id, options, call),
      ),
    observe: (hosts, call) =>
      withExplainedErrors(call, (call) => observeHosts(openApi, hosts, call)),
    lifecycle: {
      plan: (spec, options, call) =>
        withExplainedErrors(call, async (call) => {
          const plan = await planHost({ openApi, env, getCallerAddress }, spec, options, call)
          const make: typeof plan.make = (data, call) =>
            withExplainedErrors(call, (call) => plan.make(data, call))
          return { ...plan, make }
        }),
      remove: (host, call) => withExplainedErrors(call, (call) => removeHost(openApi, host, call)),
      list: (fleet, call) =>
        withExplainedErrors(call, (call) => listHosts(openApi, env, fleet, call)),
    },
    update: {
      disks: ['disk'],
      compare: (host, options, _status, call) =>
        withExplainedErrors(call, async (call) =>
          compareHost(openApi(requireLocation(host).account, call), host, options, call),
        ),
      change: (host, spec, call) =>
        withExplainedErrors(call, async (call) =>
          changeHost(openApi(requireLocation(host).account, call), host, spec, call),
        ),
    },
    sshAccess: recordedSshAccess(getCallerAddress, (host, range, call) =>
      withExplainedErrors(call, async (call) => {
        const { account, group, names } = requireLocation(host)
        const { securityRules = [] } = await openApi(
          account,
          call,
        ).network.networkSecurityGroups.get(group, names.securityGroup, {
          abortSignal: call.signal,
        })
        return allowsSsh(securityRules, range)
          ? undefined
          : `the network security group ${names.securityGroup}`
      }),
    ),
    peerAccess: {
      observe: (hosts, group, call) =>
        withExplainedErrors(call, (call) => observePeerGroup(openApi, hosts, group, call)),
      open: (host, group, record, call) =>
        withExplainedErrors(call, async (call) => {
          if (host.token === undefined) return
          await joinPeerGroup(
            openApi(requireLocation(host).account, call),
            host,
            group,
            record,
            call,
          )
        }),
      close: (host, group, call) =>
        withExplainedErrors(call, async (call) =>
          host.token === undefined
            ? {}
            : leavePeerGroup(openApi(requireLocation(host).account, call), host, group, call),
        ),
    },
    power: {
      start: (host, call) => withExplainedErrors(call, (call) => power.start(host, call)),
      stop: (host, call) => withExplainedErrors(call, (call) => power.stop(host, call)),
      restart: (host, call) => withExplainedErrors(call, (call) => power.restart(host, call)),
      kill: (host, call) => withExplainedErrors(call, (call) => power.kill(host, call)),
    },
  }
}
