import { UserError } from '../../errors.ts'
import type { EngineSpec } from '../../machine/engine-spec.ts'
import {
  type Distribution,
  type Task,
  distributions,
  engineTasks,
  installTask,
  upgradeTasks,
  type Step,
} from '../host/distributions.ts'
import { checkEngine } from './upgrade.ts'
import type { HostProbe } from '../host/probe.ts'
import { shellFunctions } from '../host/shell-functions.ts'

/** Returns the host's own distribution if it is supported, else the closest supported one that it is derived from. */
function distributionOf({ os }: HostProbe): Distribution | undefined {
  for (const id of [os.id, ...os.like]) {
    const found = distributions.find((distribution) => distribution.ids.includes(id))
    if (found !== undefined) return found
  }
  return undefined
}

/**
 * Returns the steps that install the engine if there is none, and AppArmor's package if it is missing. Throws kind
 * `unsupported` if fleet cannot install the engine on the host's distribution.
 */
export function installPackages(probe: HostProbe, spec: EngineSpec): Step[] {
  const engineMissing = !probe.daemon && probe.engine?.version === undefined
  if (!engineMissing && !probe.appArmorMissing) return []
  const distribution = distributionOf(probe)
  if (distribution === undefined) {
    if (!engineMissing) return []
    throw new UserError('unsupported', `fleet cannot install Docker on ${probe.os.name}`, {
      hint: 'install dockerd and the Docker CLI by hand, then run this command again',
    })
  }
  const engine = engineMissing ? engineTasks(distribution, spec) : []
  if (engine === undefined) {
    throw new UserError('unsupported', `Docker has no package repository for ${probe.os.name}`, {
      hint: 'remove "channel" and "version" from the entry to use the distribution\'s engine',
    })
  }
  const { appArmor, prepare, isPrepared, install } = distribution
  const packages = probe.appArmorMissing && appArmor !== undefined ? [appArmor] : []
  const tasks = [...engine, ...(packages.length > 0 ? [installTask(install, packages)] : [])]
  if (tasks.length === 0) return []
  const first = prepare !== undefined && isPrepared?.(probe) !== true ? [prepare] : []
  return [...first, ...tasks].map(stepOf)
}

const stepOf = ({ description, script, args }: Task): Step => ({
  description,
  command: ['sh', '-c', shellFunctions + script, 'sh', ...args],
})

/**
 * Returns the steps that upgrade an engine from Docker's repository to the requested version; none if it already has
 * that version.
 */
export function upgradePackages(probe: HostProbe, spec: EngineSpec): Step[] {
  if (checkEngine(probe, spec).kind !== 'upgrade') return []
  const distribution = distributionOf(probe)
  return ((distribution && upgradeTasks(distribution, spec)) ?? []).map(stepOf)
}
