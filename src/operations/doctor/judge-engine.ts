import { composePackages } from '../../docker/compose-packages.ts'
import { shellQuote } from '../../os/shell-quote.ts'
import { type Verdict, fail, ok, skip, warn } from './check.ts'
import { onHost } from './judge-connection.ts'
import type { Observation } from './observation.ts'

const withoutEngine = skip('the machine has no engine (engine: none)')

export function judgeSocket(observation: Observation): Verdict {
  const { hasEngine, facts, socket, engine, isLocal } = observation
  if (!hasEngine) return withoutEngine
  if (facts?.socket === undefined) return skip('not checked')
  const { exists, direct, rights } = facts.socket
  if (!exists) return skip(`the socket ${socket} does not exist`)
  const user = facts.user ?? ''
  const whose =
    rights === undefined ? '' : ` (${rights.owner}:${rights.group}, mode ${rights.mode})`
  if (direct) return ok(`${user} can use ${socket}`)
  if (engine !== undefined && 'version' in engine) return ok(`${user} uses ${socket} with sudo`)
  if (facts.sudo === 'works') return ok(`${user} can use ${socket} with sudo`)
  const isMember = facts.groups.includes('docker')
  const isGroups = rights?.group === 'docker' && (Number.parseInt(rights.mode, 8) & 0o060) === 0o060
  const command =
    isGroups && !isMember
      ? `usermod -aG docker ${shellQuote(user)}`
      : `chgrp docker ${shellQuote(socket)} && chmod 660 ${shellQuote(socket)}`
  return fail(
    `${user} does not have permission to use the engine socket ${socket}${whose}`,
    isLocal ? `sudo ${command.replace('&& ', '&& sudo ')}` : `run as root on the host: ${command}`,
  )
}

/** The command line that starts or restarts the engine with the host's init system. */
const service = (observation: Observation, verb: 'start' | 'restart'): string =>
  observation.facts?.docker?.service === ''
    ? onHost(observation, `service docker ${verb}`)
    : onHost(observation, `systemctl ${verb} docker`)

export function judgeEngine(observation: Observation): Verdict {
  const { hasEngine, engine, facts, name, socket } = observation
  if (!hasEngine) return withoutEngine
  if (engine === undefined) return skip('not checked')
  if ('version' in engine) return ok(`Docker ${engine.version} is running (API ${engine.api})`)
  if (engine.reason === 'unsupported') {
    const isNewer = /upgrade fleet/.test(engine.hint ?? '')
    return fail(engine.message, isNewer ? 'upgrade fleet' : `fleet upgrade ${name}`)
  }
  const { docker, socket: found } = facts ?? {}
  if (docker !== undefined && !docker.daemon && !docker.cli && found?.exists !== true) {
    return fail('Docker is not installed on the host', `fleet provision ${name}`)
  }
  const isHung = found?.answers === 'hung' || (engine.reason === 'silent' && found?.exists === true)
  if (isHung) {
    return fail(
      `the engine is hung: it accepts connections on ${socket} but does not answer`,
      service(observation, 'restart'),
    )
  }
  const isDown = found?.exists === false || found?.answers === 'refused'
  if (isDown) {
    const state = docker?.service ? ` (the docker service is ${docker.service})` : ''
    return fail(
      docker?.isRunning === true
        ? `dockerd is running, but not listening on ${socket}`
        : `the engine is not running: nothing is listening on ${socket}${state}`,
      docker?.isRunning === true
        ? `check "socket" in the entry for ${name}, and "hosts" in /etc/docker/daemon.json on the host`
        : docker?.daemon === false
          ? `fleet provision ${name}`
          : service(observation, 'start'),
    )
  }
  return fail(engine.message, engine.hint ?? service(observation, 'restart'))
}

export function judgeCompose({
  hasEngine,
  facts,
  hasStacks,
  composeHere,
  name,
}: Observation): Verdict {
  if (!hasEngine) return withoutEngine
  if (facts?.compose === undefined) return skip('not checked')
  if (facts.compose !== '') return ok(`Docker Compose ${facts.compose}`)
  const fix = `on the host, install ${composePackages}`
  const message = 'Docker Compose is not installed on the host'
  if (composeHere) return ok(`${message}; fleet uses Docker Compose on this computer`)
  return hasStacks
    ? fail(`${message} or on this computer, so ${name}'s stacks cannot be deployed`, fix)
    : warn(`${message} or on this computer`, fix)
}

export function judgeBroker({ broker, isLocal }: Observation): Verdict {
  if (isLocal || broker.state === 'off') return skip('the broker is not used')
  if (broker.state === 'none') return ok('the broker has no connection to the machine')
  if (broker.answers === false) {
    return fail(
      "the broker's connection to the machine has stalled, but the host responds",
      'fleet broker stop',
    )
  }
  return ok("the broker's connection to the machine works")
}
