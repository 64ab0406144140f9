import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { dockerHub, fullNameOf } from '../../docker/image-reference.ts'
import type { RegistryAccess } from '../../docker/registry-api.ts'
import { UserError, exitCodes, fileProblemOf } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { StoredLogin } from '../../operations/registry/host-logins.ts'
import { askQuestion, askText, canPrompt } from '../../ui/prompt.ts'
import type { Io } from '../../ui/io.ts'
import { type Column, writeRows } from '../../ui/table.ts'
import {
  type CommandGroup,
  type Invocation,
  defineCommand,
  flag,
  optional,
  required,
  text,
} from '../command.ts'
import { referenceOf } from '../container/references.ts'
import { readSecret } from '../options/read-secret.ts'
import { chooseEngines } from '../multi/choose-engines.ts'
import { listFromEngines } from '../multi/query-engines.ts'

const rootOption = flag(
  '--root',
  "use root's Docker configuration on the hosts (default: the login user's)",
)
const accessOptions = {
  ca: text('--ca <file>', 'CA certificate to trust, in PEM format', 'file'),
  insecure: flag('--insecure', 'accept any certificate, and allow plain HTTP'),
} as const

/** Parses a registry: a host name or address, followed by a port unless it is the default port. Throws kind `usage`. */
function parseRegistry(word: string): string {
  const name = word.replace(/^https:\/\//, '').replace(/\/(?:v[12]\/?)?$/, '')
  if (/^(?:[A-Za-z0-9][\w.-]*|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/.test(name)) {
    return name === 'index.docker.io' ? 'docker.io' : name
  }
  throw new UserError('usage', `${JSON.stringify(word)} is not a valid registry`, {
    hint: "use the registry's host name, such as docker.io or registry.example.com:5000",
  })
}

/** The key under which a registry is stored in the Docker configuration. */
const keyOf = (registry: string): string => (registry === 'docker.io' ? dockerHub : registry)

async function accessOf(
  { fleet, io }: Pick<Invocation, 'fleet' | 'io'>,
  { ca, insecure }: { readonly ca: string | undefined; readonly insecure: boolean },
): Promise<RegistryAccess> {
  const { env } = io
  const access = { env, insecure, signal: fleet.signal }
  if (ca === undefined) return access
  const file = resolve(io.cwd, ca)
  const pem = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new UserError('usage', `--ca: cannot read ${file}: ${fileProblemOf(error)}`)
  })
  if (pem.includes('-----BEGIN CERTIFICATE-----')) return { ...access, ca: pem }
  throw new UserError('usage', `--ca: ${file} is not a certificate in PEM format`)
}

/**
 * Resolves to the user name and the password. Prompts for those that were not given. The password is never taken from
 * the command line.
 */
async function askForLogin(
  io: Io,
  registry: string,
  { user, fromStdin }: { readonly user: string | undefined; readonly fromStdin: boolean },
): Promise<{ user: string; password: string }> {
  if (fromStdin) {
    if (user === undefined)
      throw new UserError('usage', '--password-stdin requires --username NAME')
    return { user, password: await readSecret(io, 'password') }
  }
  if (!canPrompt(io)) {
    throw new UserError('usage', 'cannot prompt for the password without a terminal', {
      hint: 'write the password to stdin, and pass --username NAME --password-stdin',
    })
  }
  const name = user ?? (await askText(io, `User name for ${registry}:`))
  const password = await askQuestion(io, {
    text: `Password or token for ${name} at ${registry}:`,
    secret: true,
  })
  return { user: name, password }
}

const registryColumn = {
  title: 'REGISTRY',
  text: ({ registry }: { readonly registry: string }) => registry,
  width: 28,
  keep: true as const,
}

const loginColumns: readonly Column<StoredLogin>[] = [
  registryColumn,
  { title: 'USER', text: ({ user }) => user ?? '', width: 12 },
  { title: 'STORED IN', text: ({ helper, file }) => helper ?? file, width: 26 },
]

/** Returns a function that finds machines by name, for work that requires the host as well as its engine. */
function byName(machines: readonly Machine[]): (name: string) => Machine {
  const found = new Map<string, Machine>(machines.map((machine) => [machine.name, machine]))
  return (name) => {
    const machine = found.get(name)
    if (machine === undefined) throw new TypeError(`${name} was not chosen`)
    return machine
  }
}

const login = defineCommand({
  name: 'login',
  summary: 'Log hosts in to a registry',
  description:
    "Log hosts in to a registry, so that they can pull images without fleet, for example for a swarm or after a restart. The engine on each host checks the login. The login is stored on the host: in the credential helper that its Docker configuration specifies, or otherwise in config.json with mode 0600, where the password is not encrypted. The output shows where the login is stored. Use a token with pull access only. The password is read from a prompt or from stdin; it appears neither in the inventory nor in process lists. fleet pull and fleet run use this computer's logins instead.",
  arguments: { registry: required('registry', 'registry, such as registry.example.com:5000') },
  options: {
    username: text('-u, --username <name>', 'user name for the registry'),
    passwordStdin: flag('--password-stdin', 'read the password from stdin'),
    root: rootOption,
  },
  targets: 'many',
  gathers: true,
  answers: 'json',
  examples: [
    'fleet registry login registry.example.com --on role=web',
    'pass show pull-token | fleet registry login ghcr.io -u ana --password-stdin --all',
  ],
  async run({ args, options, ...invocation }) {
    const { fleet, io, format } = invocation
    const { loginOnHost } = await import('../../operations/registry/host-logins.ts')
    const registry = parseRegistry(args.registry)
    const machines = await chooseEngines(invocation)
    const { user, password } = await askForLogin(io, registry, {
      user: options.username,
      fromStdin: options.passwordStdin,
    })
    if (user === '' || password === '') {
      throw new UserError('usage', 'the user name and the password must not be empty')
    }
    const find = byName(machines)
    let inFiles = false
    const code = await listFromEngines<StoredLogin>(invocation, {
      async list(engine, signal, name) {
        const stored = await loginOnHost(fleet, engine, find(name), {
          login: { registry: keyOf(registry), user, password },
          account: { root: options.root },
          signal,
        })
        inFiles ||= stored.helper === undefined
        return [stored]
      },
      columns: loginColumns,
      machines,
    })
    if (inFiles && !format.json) {
      io.stderr.write(
        "the password in config.json is not encrypted, but only the file's owner can read it\n",
      )
    }
    return code
  },
})

/** The registry that a host has been logged out of. */
export interface LoggedOut {
  readonly registry: string
  readonly file: string
  /** Whether there was a login to remove. */
  readonly removed: boolean
}

const logout = defineCommand({
  name: 'logout',
  summary: 'Log hosts out of a registry',
  description:
    "Remove a registry login from each host's Docker configuration, or from the credential helper that the configuration specifies.",
  arguments: { registry: required('registry', 'registry, such as registry.example.com:5000') },
  options: { root: rootOption },
  targets: 'many',
  gathers: true,
  answers: 'json',
  examples: ['fleet registry logout registry.example.com --on role=web'],
  async run({ args, options, ...invocation }) {
    const { fleet } = invocation
    const { logoutOnHost } = await import('../../operations/registry/host-logins.ts')
    const registry = keyOf(parseRegistry(args.registry))
    const machines = await chooseEngines(invocation)
    const find = byName(machines)
    const account = { root: options.root }
    return listFromEngines<LoggedOut>(invocation, {
      list: async (_engine, signal, name) => [
        await logoutOnHost(fleet, find(name), { registry, account, signal }),
      ],
      columns: [
        registryColumn,
        { title: 'RESULT', text: ({ removed }) => (removed ? 'logged out' : 'was not logged in') },
      ],
      machines,
    })
  },
})

/** Lists the repositories of a registry. */
async function listRegistry(
  invocation: Pick<Invocation, 'fleet' | 'io' | 'format' | 'targets'>,
  word: string,
  access: RegistryAccess,
): Promise<number> {
  const { io, format, targets } = invocation
  if (targets.machine !== undefined || targets.on.length > 0 || targets.retryFailed) {
    throw new UserError(
      'usage',
      'specify either a registry, to list its repositories, or machines, to list their logins',
      {
        hint: 'to list logins on machines: fleet registry ls --on SELECTOR',
      },
    )
  }
  const { listRepositories } = await import('../../docker/registry-api.ts')
  const repositories = await listRepositories(parseRegistry(word), access)
  await writeRows(io, format, {
    rows: repositories.map((repository) => ({ repository })),
    columns: [{ title: 'REPOSITORY', text: ({ repository }) => repository, keep: true }],
    name: ({ repository }) => repository,
  })
  return exitCodes.ok
}

const list = defineCommand({
  name: 'ls',
  aliases: ['list'],
  summary: 'List logins on hosts, or repositories in a registry',
  description:
    "Without a registry, list the registry logins stored on hosts, but not the passwords. With a registry, list its repositories, using the login in this computer's Docker configuration. HTTPS is required unless the registry is on this computer or you pass --insecure. Certificates in Docker's certs.d directory are also trusted.",
  arguments: { registry: optional('registry', 'registry to list repositories from') },
  options: { root: rootOption, ...accessOptions },
  targets: 'many',
  gathers: true,
  answers: 'names',
  examples: [
    'fleet registry ls --on role=web',
    'fleet registry ls registry.example.com:5000 --ca certs/registry.pem',
  ],
  async run({ args, options, ...invocation }) {
    const { fleet } = invocation
    if (args.registry !== undefined) {
      return listRegistry(invocation, args.registry, await accessOf(invocation, options))
    }
    if (options.ca !== undefined || options.insecure) {
      throw new UserError('usage', '--ca and --insecure require a registry', {
        hint: 'for example: fleet registry ls registry.example.com:5000 --ca FILE',
      })
    }
    const { listLoginsOnHost } = await import('../../operations/registry/host-logins.ts')
    const machines = await chooseEngines(invocation)
    const find = byName(machines)
    const account = { root: options.root }
    return listFromEngines<StoredLogin>(invocation, {
      list: (_engine, signal, name) => listLoginsOnHost(fleet, find(name), { account, signal }),
      columns: loginColumns,
      name: ({ machine, registry }) => referenceOf(machine, registry),
      machines,
    })
  },
})

/** Splits `HOST/REPOSITORY`. Throws kind `usage`. */
function parseRepository(word: string): { registry: string; repository: string } {
  const [registry = '', ...path] = fullNameOf(word).split('/')
  const repository = path.join('/')
  if (
    /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/.test(
      repository,
    )
  ) {
    return { registry: parseRegistry(registry), repository }
  }
  throw new UserError('usage', `${JSON.stringify(word)} is not a valid repository`, {
    hint: 'use the repository name without a tag, such as registry.example.com:5000/team/app',
  })
}

const tags = defineCommand({
  name: 'tags',
  summary: 'List the tags in a repository',
  description:
    "List the tags in a repository, using the login in this computer's Docker configuration. HTTPS is required unless the registry is on this computer or you pass --insecure. Certificates in Docker's certs.d directory are also trusted.",
  arguments: { repository: required('repository', 'registry and repository: HOST/REPOSITORY') },
  options: accessOptions,
  answers: 'names',
  examples: [
    'fleet registry tags registry.example.com:5000/team/app',
    'fleet registry tags alpine',
  ],
  async run({ args, options, ...invocation }) {
    const { io, format } = invocation
    const { registry, repository } = parseRepository(args.repository)
    const { listTags } = await import('../../docker/registry-api.ts')
    const found = await listTags(registry, repository, await accessOf(invocation, options))
    await writeRows(io, format, {
      rows: found.map((tag) => ({ tag })),
      columns: [{ title: 'TAG', text: ({ tag }) => tag, keep: true }],
      name: ({ tag }) => tag,
    })
  },
})

/** The commands of `fleet registry`. */
export const registry: CommandGroup = {
  name: 'registry',
  summary: 'Log hosts in to registries; list repositories and tags',
  commands: [login, logout, list, tags],
}
