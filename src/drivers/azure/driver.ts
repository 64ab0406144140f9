import { cacheCallerAddress } from '../net/caller-address.ts'
import { recordedSshAccess } from '../net/ssh-access.ts'
import type { Call, Driver } from '../driver.ts'
import { type Timeouts, azureTempo, duringCall, openAzure } from './api/azure-api.ts'
import type { AzureOptions } from './options.ts'
import { changeHost } from './machine/change.ts'
import { compareHost } from './machine/compare.ts'
import { explainFailure } from './api/errors.ts'
import { requirePlace } from './create/host-resources.ts'
import { listHosts } from './machine/list.ts'
import type { Environment } from './api/login.ts'
import { observeHosts } from './machine/observe.ts'
import { planHost } from './create/plan.ts'
import { switchPower } from './machine/power.ts'
import { recallHost } from './create/describe-existing.ts'
import { removeHost } from './machine/remove.ts'

/**
 * Runs `work`, reports the waits of the SDK as progress, and turns its errors into errors for the
 * user.
 */
async function explained<T>(call: Call, work: (call: Call) => Promise<T>): Promise<T> {
  const { signal } = call
  try {
    signal.throwIfAborted()
    return await duringCall(call, work)
  } catch (error) {
    throw explainFailure(error, signal)
  }
}

/**
 * Creates the driver of Azure. The environment determines the login, and the subscription if no
 * option does.
 */
export function azureDriver(env: Environment, tempo: Timeouts = azureTempo): Driver<AzureOptions> {
  const openApi = openAzure(env, tempo)
  const askCaller = cacheCallerAddress(env)
  const power = switchPower(openApi)
  return {
    describeExisting: (id, options, call) =>
      explained(call, (call) => recallHost({ openApi, env }, id, options, call)),
    observe: (hosts, call) => explained(call, (call) => observeHosts(openApi, hosts, call)),
    lifecycle: {
      plan: (wish, options, call) =>
        explained(call, async (call) => {
          const plan = await planHost({ openApi, env, askCaller }, wish, options, call)
          const make: typeof plan.make = (seed, call) =>
            explained(call, (call) => plan.make(seed, call))
          return { ...plan, make }
        }),
      remove: (host, call) => explained(call, (call) => removeHost(openApi, host, call)),
      list: (fleet, call) => explained(call, (call) => listHosts(openApi, env, fleet, call)),
    },
    update: {
      disks: ['disk'],
      compare: (host, options, _status, call) =>
        explained(call, async (call) =>
          compareHost(openApi(requirePlace(host).account, call), host, options, call),
        ),
      change: (host, wish, call) =>
        explained(call, async (call) =>
          changeHost(openApi(requirePlace(host).account, call), host, wish, call),
        ),
    },
    sshAccess: recordedSshAccess(askCaller),
    power: {
      start: (host, call) => explained(call, (call) => power.start(host, call)),
      stop: (host, call) => explained(call, (call) => power.stop(host, call)),
      restart: (host, call) => explained(call, (call) => power.restart(host, call)),
      kill: (host, call) => explained(call, (call) => power.kill(host, call)),
    },
  }
}
