import { shellQuote } from '../../os/shell-quote.ts'
import { type Verdict, fail, ok, skip, warn } from './check.ts'
import { onHost } from './judge-connection.ts'
import type { Observation } from './observation.ts'

const withoutEngine = skip('the inventory sets engine: none')

export function judgeSocket(observation: Observation): Verdict {
  const { hasEngine, facts, socket, engine, isLocal } = observation
  if (!hasEngine) return withoutEngine
  if (facts?.socket === undefined) return skip('not read')
  const { exists, direct, rights } = facts.socket
  if (!exists) return skip(`there is no socket ${socket}`)
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
    `${user} has no permission to use the engine socket ${socket}${whose}`,
    isLocal ? `sudo ${command.replace('&& ', '&& sudo ')}` : `on the host, as root: ${command}`,
  )
}

/** Restarts the engine, with the init system that the host has. */
const service = (observation: Observation, verb: 'start' | 'restart'): string =>
  observation.facts?.docker?.service === ''
    ? onHost(observation, `service docker ${verb}`)
    : onHost(observation, `systemctl ${verb} docker`)

export function judgeEngine(observation: Observation): Verdict {
  const { hasEngine, engine, facts, name, socket } = observation
  if (!hasEngine) return withoutEngine
  if (engine === undefined) return skip('not asked')
  if ('version' in engine) return ok(`Docker ${engine.version} answers (API ${engine.api})`)
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
      `the engine accepts connections on ${socket} but does not answer: it hangs`,
      service(observation, 'restart'),
    )
  }
  const isDown = found?.exists === false || found?.answers === 'refused'
  if (isDown) {
    const state = docker?.service ? ` (the docker service is ${docker.service})` : ''
    return fail(
      docker?.isRunning === true
        ? `the engine does not listen on ${socket}, though dockerd is running`
        : `the engine is not running: nothing answers on ${socket}${state}`,
      docker?.isRunning === true
        ? `check "socket" of ${name} in the inventory, and "hosts" in /etc/docker/daemon.json`
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
  if (facts?.compose === undefined) return skip('not read')
  if (facts.compose !== '') return ok(`docker compose ${facts.compose}`)
  const fix = `on the host, install the docker-compose-plugin package (Debian: docker-compose)`
  const message = 'docker compose is not installed on the host'
  if (composeHere) return ok(`${message}; fleet uses Docker Compose on this computer`)
  return hasStacks
    ? fail(
        `${message}, and this computer does not have it: the stacks of ${name} cannot be deployed`,
        fix,
      )
    : warn(`${message}, and this computer does not have it`, fix)
}

export function judgeBroker({ broker, isLocal }: Observation): Verdict {
  if (isLocal || broker.state === 'off') return skip('not used')
  if (broker.state === 'none') return ok('it has no connection to the machine')
  if (broker.answers === false) {
    return fail(
      "the broker's connection to the machine does not answer, though the host does",
      'fleet broker stop',
    )
  }
  return ok('its connection to the machine works')
}
