import { formatWords, operandsOf, valuesOf } from '../../docker/command-line.ts'
import { type ReadCommand, type VerbName, readCommand } from '../../docker/verbs.ts'
import { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { Context } from '../context.ts'
import { importOnHost, loadOnHost, saveOnHost } from './on-host/archives.ts'
import { buildOnHost } from './on-host/build.ts'
import { composeOnHost } from '../compose/compose-on-host.ts'
import { copyOnHost } from './on-host/copy.ts'
import { type HostDocker, findHostDocker, runHostDocker } from './on-host/host-docker.ts'
import { runContainerOnHost } from './on-host/run.ts'
import type { Streams } from '../../os/streams.ts'

type Handler = (
  host: HostDocker,
  command: ReadCommand,
  streams: Streams,
  context: Context,
) => Promise<number>

/** `docker pull` and `push` with the user's login to the image's registry. */
const pullOnHost: Handler = (host, { start, words }, streams) => {
  const args = [...start, ...formatWords(words)]
  return runHostDocker(host, { args: () => args, images: operandsOf(words).slice(0, 1) }, streams)
}

/** Refuses `docker login`, which would store the user's password on the host. */
const refuseLogin: Handler = ({ name }, { spelling }) => {
  throw new UserError(
    'unsupported',
    `${spelling} would change the registry logins on ${name}, not on this computer`,
    {
      machine: name,
      hint: "log in with the Docker CLI on this computer: fleet uses the registry logins in this computer's Docker configuration",
    },
  )
}

/** The verbs that need files, variables or logins from this computer. */
const handlers: Readonly<Record<VerbName, Handler>> = {
  build: buildOnHost,
  compose: (host, command, streams, context) => composeOnHost(context, host, command, streams),
  cp: copyOnHost,
  exec: runContainerOnHost,
  import: importOnHost,
  load: loadOnHost,
  login: refuseLogin,
  pull: pullOnHost,
  run: runContainerOnHost,
  save: saveOnHost,
}

const wantsHelp = ({ words }: ReadCommand): boolean =>
  words.some((word) => word.kind === 'flag' && word.name === '--help') ||
  valuesOf(words, '--help').length > 0

/**
 * Runs `docker ARGS` on the machine's host over SSH, for computers without the docker CLI. Forwards input, output, terminal,
 * signals and the exit code, and local files, variables and registry logins for the verbs that use them.
 */
export async function runDockerOnHost(
  context: Context,
  machine: Machine,
  args: readonly string[],
  streams: Streams,
): Promise<number> {
  const command = readCommand(args)
  const host = await findHostDocker(context, machine)
  if (command === undefined || wantsHelp(command)) {
    return runHostDocker(host, { args: () => args }, streams)
  }
  return handlers[command.verb](host, command, streams, context)
}
