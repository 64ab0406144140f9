import { UserError } from '../../errors.ts'
import type { EngineWish } from '../../machine/schema.ts'
import { defaultSocket, type HostProbe } from '../host/probe.ts'
import { installPackages, upgradePackages } from '../host/packages.ts'
import { startService } from '../host/service.ts'
import type { Step } from '../host/step.ts'

/** All that is to change on a host, in order. Empty: nothing. */
export type Plan = readonly Step[]

/** What may happen to an engine that is there. */
export interface EngineAims {
  /** One of Docker's own repository is brought to the version wished for, where that is a newer one. */
  readonly upgrades?: boolean
}

/**
 * What it takes to have a Docker engine that runs, comes back after a reboot and lets the login
 * user in: where there is none, the one wished for. One that is there stays as it is, whatever the wish, unless `upgrades`, and
 * settings of the engine, such as daemon.json, are never part of it.
 * Throws kind `unsupported` for an unknown distribution, `credentials` when root is out of reach.
 */
export function planEngine(
  probe: HostProbe,
  wish: EngineWish = {},
  { upgrades = false }: EngineAims = {},
): Plan {
  if (answersElsewhere(probe)) return []
  const newer = upgrades ? upgradePackages(probe, wish) : []
  const steps = [
    ...installPackages(probe, wish),
    ...newer,
    ...startService(probe),
    ...joinDockerGroup(probe),
  ]
  if (steps.length === 0 || probe.root) return steps
  if (!probe.sudo) {
    const changes = steps.map((step) => step.why).join('; ')
    throw new UserError(
      'credentials',
      `${probe.user} cannot become root, which is needed to ${changes}`,
      {
        hint: `allow ${probe.user} to use sudo without a password, or log in as root`,
      },
    )
  }
  return steps.map(({ why, command }) => ({ why, command: ['sudo', '-n', ...command] }))
}

/** A rootless engine, or one that DOCKER_HOST names: somebody's own arrangement, which works. */
const answersElsewhere = ({ engine }: HostProbe): boolean =>
  engine?.version !== undefined && engine.socket !== defaultSocket

function joinDockerGroup(probe: HostProbe): Step[] {
  if (probe.root || probe.dockerGroup) return []
  const { user } = probe
  const busybox = probe.os.id === 'alpine'
  return [
    {
      why: `add ${user} to the docker group, which gives ${user} root access to the host`,
      command: busybox ? ['addgroup', user, 'docker'] : ['usermod', '-aG', 'docker', user],
    },
  ]
}
