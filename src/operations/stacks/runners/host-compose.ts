import { shellQuote } from '../../../os/shell-quote.ts'
import { PassThrough, Readable } from 'node:stream'
import { composePackages } from '../../../docker/compose-packages.ts'
import { UserError } from '../../../errors.ts'
import { type Machine } from '../../../machine/machine.ts'
import { resolvePath } from '../../../state/inventory/resolve-path.ts'
import { type CommandResult, readBeginning } from '../../../transport/run.ts'
import { type HostSession, askConfig, refuseUnnamed } from '../../compose/host-session.ts'
import type { ComposeInputs } from '../../compose/read-inputs.ts'
import type { AskConfig } from '../../compose/resolve-model.ts'
import { rootBelow } from '../../compose/rooted-paths.ts'
import type { Context } from '../../context.ts'
import { type HostDocker, type HostRun, runHostDocker } from '../../docker/on-host/host-docker.ts'
import { isPathAllowed } from '../../inventory/grants.ts'
import { type ResolvedStack, resolveStack } from '../resolve-stack.ts'
import type { StackFiles } from '../stack-files.ts'
import type { StackModel } from '../stack-model.ts'
import { modelWords, withoutRemotes } from './local-compose.ts'
import type { StackCompose } from './stack-compose.ts'
import { type StackHost, findStackHost } from '../host-store/store-folder.ts'

/**
 * How long a run waits for an earlier run on the host that continues after its fleet process has exited, in seconds.
 */
const lockSeconds = 60

/** Returns a host's docker command under a lock, so that only one command at a time changes the stack. */
const lockedDocker = (host: StackHost, folder: string): HostDocker => {
  const { docker, become = [] } = host
  const flock = ['flock', '-w', String(lockSeconds), `${folder}/up.lock`]
  return { ...host, docker: [...become, ...flock, ...docker.slice(become.length)] }
}

/**
 * Runs docker on a host without input, and collects its output. When `signal` aborts, docker is stopped on the host,
 * and the promise rejects with the abort reason after docker has exited.
 */
async function collect(
  { env }: Pick<Context, 'env'>,
  host: HostDocker,
  command: HostRun,
  signal: AbortSignal,
): Promise<CommandResult> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const output = Promise.all([readBeginning(stdout), readBeginning(stderr)])
  const streams = { stdin: Readable.from([]), stdout, stderr, env, cwd: '/', signal }
  try {
    const code = await runHostDocker(host, command, streams)
    signal.throwIfAborted()
    stdout.end()
    stderr.end()
    const [printed, reported] = await output
    return { code, stdout: printed, stderr: reported }
  } finally {
    stdout.end()
    stderr.end()
  }
}

/** Describes a run of Compose with a model as its only file. `folder`: the stack's directory on the host. */
const runOf = (
  model: StackModel,
  words: readonly string[],
  {
    folder,
    variables = {},
    images = [],
  }: {
    folder?: string
    variables?: Readonly<Record<string, string>> | undefined
    images?: readonly string[] | undefined
  } = {},
): HostRun => ({
  args: (place) => [
    ...modelWords(model, {
      ...{ file: `${place}/compose.json`, empty: `${place}/empty` },
      folder: folder ?? place,
    }),
    ...words,
  ],
  files: { 'compose.json': JSON.stringify(model), empty: '' },
  images:
    words[0] === 'pull'
      ? Object.values(model.services).flatMap(({ image }) => image ?? [])
      : images,
  environment: variables,
})

/**
 * The text that replaces a run's directory in models and messages, because that directory has a different name in each
 * run.
 */
const folderOfRuns = '/fleet-project'

const replaceFolder = (text: string): string =>
  text.replaceAll(/\/[^\s"':]*\/\.fleet-[0-9a-f-]{36}(?=[/"'\s:,]|$)/g, folderOfRuns)

/** Replaces the run's directory in the output of Compose. */
const withFolder =
  (ask: AskConfig): AskConfig =>
  async (words, allProfiles) => {
    const { code, stdout, stderr } = await ask(words, allProfiles)
    return { code, stdout: replaceFolder(stdout), stderr: replaceFolder(stderr) }
  }

/**
 * Restricts the inputs of a stack: adding a file outside the inventory's directory throws kind `usage` unless the user
 * has allowed the file.
 */
function allowedInputs(context: Context, inputs: ComposeInputs): ComposeInputs {
  return {
    ...inputs,
    files: inputs.files,
    openIncludes: inputs.openIncludes,
    isUncertain: inputs.isUncertain,
    async add(path) {
      if (!inputs.names(path)) return false // the host reports the path, so it could be any path
      const { location } = await context.inventory()
      const { path: real, isInside } = await resolvePath(location, path)
      if (!isInside && !(await isPathAllowed(context, location, real))) {
        throw new UserError('usage', `the stack reads ${path}, which you have not allowed yet`, {
          hint: `to allow access: fleet deploy --allow-path ${shellQuote(path)}`,
        })
      }
      return inputs.add(path)
    },
  }
}

/**
 * Resolves a stack with Compose on a host. The files that Compose reads stay on the host only for the duration of the
 * run.
 */
async function resolveOnHost(
  context: Context,
  host: HostDocker,
  files: StackFiles,
  more: Readonly<Record<string, string>>,
): Promise<ResolvedStack> {
  const { folder, command, project, inputs } = files
  const variables = { ...files.variables, ...more }
  const session: HostSession = {
    ...{ host, command, project, inputs: allowedInputs(context, inputs), stdin: undefined },
    mirror: undefined,
    streams: {
      ...{ stdin: Readable.from([]), stdout: new PassThrough(), stderr: new PassThrough() },
      ...{ cwd: folder, env: { ...variables, ...withoutRemotes }, signal: context.signal },
    },
  }
  const ask = withFolder(askConfig(session, async () => {}))
  const root = rootBelow(folderOfRuns)
  const resolved = await resolveStack({ ...files, variables }, { root, ask })
  refuseUnnamed(session, resolved.paths)
  return resolved
}

const missing = ({ name }: Pick<Machine, 'name'>): UserError =>
  new UserError('unsupported', 'Docker on the host does not have the Compose plugin', {
    machine: name,
    hint: `on ${name}, install ${composePackages}; or on this computer, install docker-ce-cli and docker-compose-plugin`,
  })

/**
 * Returns Docker Compose on hosts, for computers without Compose. Stacks are resolved on `machine`. Throws kind
 * `unsupported` if the machine's host has no Compose.
 */
export async function findHostCompose(context: Context, machine: Machine): Promise<StackCompose> {
  const hosts = new Map<string, Promise<StackHost>>()
  const hostOf = (one: Machine): Promise<StackHost> => {
    const found = hosts.get(one.name) ?? findStackHost(context, one)
    hosts.set(one.name, found)
    return found
  }
  const main = await hostOf(machine)
  const { compose: version } = main
  if (version === undefined) throw missing(machine)
  const { signal } = context
  return {
    host: machine.name,
    resolve: (files, variables) => resolveOnHost(context, main, files, variables),
    async hasherOf(other, created) {
      const isSame = created === undefined || version.replace(/^v/, '').startsWith(created)
      const host = isSame ? main : await hostOf(other)
      return {
        version: host.compose ?? version,
        ask: (model, words) =>
          collect(context, host.compose === undefined ? main : host, runOf(model, words), signal),
      }
    },
    async on(other, { folder, host }) {
      const { compose } = host
      if (compose === undefined) throw missing(other)
      return {
        version: compose,
        run: (model, words, { variables, images, signal: stop }) =>
          collect(
            context,
            words[0] === 'up' || words[0] === 'down' ? lockedDocker(host, folder) : host,
            runOf(model, words, { folder, variables, images }),
            stop,
          ),
      }
    },
  }
}
