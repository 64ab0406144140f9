import { UserError } from '../../errors.ts'
import type { EngineSpec } from '../../machine/engine-spec.ts'
import { defaultSocket } from '../../machine/machine.ts'
import type { HostProbe } from '../host/probe.ts'
import { installPackages, upgradePackages } from './docker-packages.ts'
import { startService } from '../host/service.ts'
import type { Step } from '../host/distributions.ts'

/** The changes to make on a host, in order. Empty if there are none. */
export type Plan = readonly Step[]

/** Options for an existing engine. */
export interface UpgradePolicy {
  /**
   * Whether to upgrade an engine from Docker's repository to the requested version, if that is
   * newer.
   */
  readonly upgrades?: boolean
}

/**
 * Plans the changes that a host needs so that an engine runs, starts after a reboot, and can be used by the login user.
 * Installs the requested engine if there is none. An existing engine is kept unless `upgrades` is set. Its settings are
 * planned by {@link planSettings}. Throws kind `unsupported` for an unknown distribution, and `credentials` if root
 * permissions are required but missing.
 */
export function planEngine(
  probe: HostProbe,
  spec: EngineSpec = {},
  { upgrades = false }: UpgradePolicy = {},
): Plan {
  if (hasCustomEngine(probe)) return []
  const newer = upgrades ? upgradePackages(probe, spec) : []
  const steps = [
    ...installPackages(probe, spec),
    ...newer,
    ...startService(probe),
    ...joinDockerGroup(probe),
  ]
  return withPrivileges(probe, steps)
}

/** Adds `sudo` to steps unless the login user is root. Throws kind `credentials` if the user cannot become root. */
export function withPrivileges(probe: HostProbe, steps: Plan): Plan {
  if (steps.length === 0 || probe.root) return steps
  const { sudoNeeds } = probe
  if (sudoNeeds !== undefined) return steps.map((step) => ({ ...step, sudo: sudoNeeds }))
  if (!probe.sudo) {
    const changes = steps.map((step) => step.description).join('; ')
    throw new UserError(
      'credentials',
      `${probe.user} cannot become root, but root access is needed to ${changes}`,
      {
        hint: `allow ${probe.user} to use sudo without a password, or log in as root`,
      },
    )
  }
  return steps.map(({ description, command }) => ({
    description,
    command: ['sudo', '-n', ...command],
  }))
}

/**
 * Whether a rootless engine, or one that DOCKER_HOST names, is running: the user configured it, and
 * it works.
 */
export const hasCustomEngine = ({ engine }: HostProbe): boolean =>
  engine?.version !== undefined && engine.socket !== defaultSocket

function joinDockerGroup(probe: HostProbe): Step[] {
  if (probe.root || probe.dockerGroup) return []
  const { user } = probe
  const busybox = probe.os.id === 'alpine'
  return [
    {
      description: `add ${user} to the docker group, which gives ${user} root access to the host`,
      command: busybox ? ['addgroup', user, 'docker'] : ['usermod', '-aG', 'docker', user],
    },
  ]
}
