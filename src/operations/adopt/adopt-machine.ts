import { UserError } from '../../errors.ts'
import { isMachineName, type MachineName } from '../../machine/name.ts'
import { isSameLogin } from '../../machine/machine.ts'
import { parseDestination } from '../../transport/ssh/destination.ts'
import { sshDestination } from '../../machine/fields.ts'
import {
  type SshConfig,
  examineSshConfig,
  resolveSshConfig,
} from '../../transport/ssh/config/ssh-config.ts'
import { trustAliases } from '../connect/ssh-alias.ts'
import { chooseClient } from '../../transport/connect.ts'
import { requestedClient } from '../connect/describe-login.ts'
import type { Context } from '../context.ts'
import type { Progress } from '../../os/progress.ts'
import { type CreatedMachine, createMachine } from '../create/create-machine.ts'
import type { HostKeyTrust } from '../trust/trust-host-key.ts'
import { shellQuote } from '../../os/shell-quote.ts'

/** An existing host to adopt. */
export interface AdoptRequest {
  /** `[user@]host[:port]`, or an alias in ~/.ssh/config. */
  readonly destination: string
  /** The machine name; if absent, the host part of the destination. */
  readonly name?: MachineName | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
  /** Private key files to try before those in ~/.ssh/config. */
  readonly identityFiles?: readonly string[]
  /** The jump host; if absent, the one in ~/.ssh/config. */
  readonly via?: MachineName | undefined
  /** Jump hosts that replace those in ~/.ssh/config, in the order of connection. */
  readonly proxyJump?: readonly string[] | undefined
  /** `none` if the machine has no Docker engine. */
  readonly engine?: 'none' | undefined
  readonly trust: HostKeyTrust
  /** A configuration file to use instead of ~/.ssh/config. */
  readonly configuration?: string | undefined
}

/** A jump host in ~/.ssh/config that is not a machine yet. */
interface JumpHost {
  /** The machine name that it would get. */
  readonly name: MachineName
  /** The host that is reached through the jump host: the target, or another jump host. */
  readonly leadsTo: string
}

/** Callbacks of {@link adoptMachine}. */
export interface AdoptCalls {
  readonly progress: Progress
  /** Asks whether to add a jump host as a machine too, without an engine. */
  readonly confirmJump: (jump: JumpHost) => Promise<boolean>
}

/**
 * Adds an existing host to the inventory, with its settings from ~/.ssh/config. The host is not changed. A jump host
 * must be a machine too: unless a machine with the same login exists, the jump host is adopted first.
 */
export async function adoptMachine(
  context: Context,
  request: AdoptRequest,
  calls: AdoptCalls,
): Promise<CreatedMachine> {
  const examined = await examineSshConfig(request.destination, context.env, request.configuration)
  const config = withJumps(examined.config, request.proxyJump ?? [])
  const sshAlias = aliasFor(request, examined.isConfigured)
  checkProxyCommand(request, config, sshAlias)
  const name = request.name ?? nameFrom(request.destination)
  const store = await context.inventory()
  if ((await store.read()).machines.get(name)?.host !== undefined) throw nameTaken(name)
  const via = request.via ?? (await findJump(context, { name, config, after: [] }, request, calls))
  const { address, user, port, settings } = config
  // With IdentitiesOnly, ssh uses only those of the agent's keys that match one of these files, so the default files
  // are needed too.
  const identityFiles =
    settings?.identitiesOnly === true ? config.identityFiles : config.identityFiles.filter(isChosen)
  const created = await createMachine(
    context,
    {
      name,
      driver: 'ssh',
      options: { address, user, ...(port !== 22 && { port }) },
      labels: request.labels,
      via,
      engine: request.engine,
      trust: request.trust,
      ssh: config,
      sshAlias,
      identityFiles: [...(request.identityFiles ?? []), ...identityFiles],
    },
    { progress: calls.progress, approve: async () => false },
  )
  if (sshAlias !== undefined) await trustAliases(context, [sshAlias])
  const alias = sshAlias && { destination: sshAlias, answer: examined.answer }
  const target = { hostKeys: [], identityFiles: config.identityFiles, alias: alias || undefined }
  const { client } = await chooseClient(
    { ...target, client: requestedClient({}, context.env) },
    context.env,
  )
  return { ...created, warnings: warningsFor(request.destination, examined.ignoredBy(client)) }
}

/**
 * The alias to record: the destination as typed, if the user's SSH configuration has settings for it. Undefined if the
 * destination contains characters that the record does not allow, or if another configuration file was given, which
 * later connections do not read.
 */
function aliasFor(
  { destination, configuration }: AdoptRequest,
  isConfigured: boolean,
): string | undefined {
  if (!isConfigured || configuration !== undefined) return undefined
  const typed = destination.replace(/^ssh:\/\//, '').replace(/\/$/, '')
  return sshDestination.safeParse(typed).success ? typed : undefined
}

/**
 * Throws kind `unsupported` if the host requires a ProxyCommand and there is no alias through which later connections
 * would find it.
 */
function checkProxyCommand(
  { destination, via }: AdoptRequest,
  { proxyCommand }: SshConfig,
  sshAlias: string | undefined,
): void {
  if (proxyCommand === undefined || via !== undefined || sshAlias !== undefined) return
  throw new UserError(
    'unsupported',
    `${destination} requires a ProxyCommand but has no alias in ~/.ssh/config that fleet can use`,
    {
      hint: 'add an alias for the host to ~/.ssh/config (only letters, digits, ".", "_" and "-"), then adopt the host by its alias',
    },
  )
}

const warningsFor = (destination: string, ignored: readonly string[]): readonly string[] =>
  ignored.length === 0
    ? []
    : [
        `fleet ignores these SSH settings for ${destination}: ${ignored.join(', ')}; see fleet's documentation: docs/ssh.md`,
      ]

/** Whether a key file was configured explicitly: `ssh -G` also lists the default ones (ssh_config(5), IdentityFile). */
const isChosen = (file: string): boolean =>
  !/\/\.ssh\/id_(?:rsa|dsa|ecdsa|ecdsa_sk|ed25519|ed25519_sk|xmss)$/.test(file)

const nameTaken = (name: MachineName): UserError =>
  new UserError('usage', `machine ${name} already exists; nothing was changed`, {
    machine: name,
    hint: 'choose another name with --name NAME',
  })

function nameFrom(destination: string): MachineName {
  const { host } = parseDestination(destination)
  if (isMachineName(host)) return host
  throw new UserError('usage', `${JSON.stringify(host)} is not a valid machine name`, {
    hint: 'specify a name with --name NAME',
  })
}

/** A host in the chain of jump hosts. */
interface Stop {
  readonly name: string
  readonly config: SshConfig
  /** The settings of the hosts that are reached through this host, starting with the target. */
  readonly after: readonly SshConfig[]
}

/**
 * Finds the machine for the jump host that ~/.ssh/config requires, or adopts the jump host. The last host in a
 * ProxyJump list is the one nearest to the target.
 */
async function findJump(
  context: Context,
  stop: Stop,
  request: AdoptRequest,
  calls: AdoptCalls,
): Promise<MachineName | undefined> {
  const { name: leadsTo, config } = stop
  const [nearest, ...before] = config.proxyJump?.toReversed() ?? []
  if (nearest === undefined) return undefined
  const { trust, configuration } = request // an expected fingerprint applies only to the target
  const jump = await resolveSshConfig(nearest, context.env, { configuration })
  const after = [...stop.after, config]
  if (after.some((passed) => isSameLogin(passed, jump))) throw circularJumpError(nearest)
  const { machines } = await (await context.inventory()).read()
  const there = [...machines.values()].find(
    ({ host }) => host !== undefined && isSameLogin(host, jump),
  )
  if (there !== undefined) return there.name
  const name = nameFrom(nearest)
  if (!(await calls.confirmJump({ name, leadsTo }))) {
    throw new UserError(
      'cancelled',
      `${leadsTo} requires the jump host ${name}, which was not added; nothing was changed`,
    )
  }
  const earlier = { name, config: withJumps(jump, before.toReversed()), after }
  const via = await findJump(context, earlier, request, calls)
  const adopted = await adoptMachine(
    context,
    {
      ...{ destination: nearest, name, engine: 'none', via, configuration },
      trust: { ...trust, expected: undefined },
    },
    calls,
  )
  return adopted.machine.name
}

/**
 * Replaces the jump hosts of a configuration, unless `before` is empty. Each host in a ProxyJump list is reached
 * through the hosts listed before it.
 */
const withJumps = (config: SshConfig, before: readonly string[]): SshConfig =>
  before.length > 0 ? { ...config, proxyJump: before } : config

const circularJumpError = (destination: string): UserError =>
  new UserError('usage', `in ~/.ssh/config, ${destination} is its own jump host`, {
    hint: `check the host's ProxyJump setting: ssh -G -- ${shellQuote(destination)} | grep -i proxyjump`,
  })
