import type { HostFacts } from '../../drivers/driver.ts'
import { UserError } from '../../errors.ts'
import type { HostRecord, Machine } from '../../machine/machine.ts'
import type { HostProbe } from '../../provision/host/probe.ts'
import type { SshConfig } from '../../transport/ssh/config/ssh-config.ts'
import { HostKeyChanged, knownHostChanged } from '../../transport/ssh/host-keys/host-key-errors.ts'
import type { Context } from '../context.ts'
import { findTunnel } from '../connect/find-tunnel.ts'
import { connectJumpHost } from '../connect/jump-host.ts'
import { tryLogins } from './try-logins.ts'
import { observedFacts } from './observed-facts.ts'
import { probeHost } from './probe-host.ts'
import { settingsOf } from '../provision/prepare-settings.ts'
import { type ProvisionCalls, provisionHost } from '../provision/provision-host.ts'
import { type HostKeyTrust, trustHostKey } from '../trust/trust-host-key.ts'

/** Login settings from the user's SSH configuration. */
export type SshLogin = {
  readonly [Key in 'agent' | 'certificateFiles' | 'proxyCommand' | 'settings']?:
    | SshConfig[Key]
    | undefined
}

/** How to log in to an existing host for the first time. */
export interface AdoptOptions {
  readonly trust: HostKeyTrust
  /** Private keys to try before the default ones. */
  readonly identityFiles?: readonly string[]
  /** The host's settings in the user's SSH configuration. */
  readonly ssh?: SshLogin | undefined
  /** The host's alias in the user's SSH configuration, to be recorded in the inventory. */
  readonly sshAlias?: string | undefined
  /** Whether to install or repair the engine if it does not answer, and to change its settings to match the entry. */
  readonly installEngine?: boolean
}

/** The record of the host, and the complete result of probing it. */
interface ProbedHost {
  readonly host: HostRecord
  readonly probe: HostProbe
}

/** Connects to a host for the first time: pins its host key, logs in and inspects it. Does not write the inventory. */
export async function connectAndProbe(
  context: Context,
  machine: Machine,
  facts: HostFacts,
  request: AdoptOptions,
  calls: ProvisionCalls,
): Promise<ProbedHost> {
  const { name, engine } = machine
  const { address, port = 22, socket } = facts
  const via = await connectJumpHost(context, machine)
  const tunnel = await findTunnel(context, machine, { phase: 'ready', ...facts })
  calls.progress(address === undefined ? 'inspect this computer' : `connect to ${address}`)
  const { identityFiles = [], sshAlias } = request
  const { agent, certificateFiles, settings } = request.ssh ?? {}
  const proxyCommand = tunnel ?? (via === undefined ? request.ssh?.proxyCommand : undefined)
  const ssh: SshLogin = { agent, certificateFiles, settings, proxyCommand }
  const trusted =
    address === undefined
      ? undefined
      : await trustHostKey(
          context,
          { name, address, port, via, proxyCommand, settings, destination: sshAlias },
          request.trust,
        )
  const pinned = trusted && { hostKeys: [...trusted.hostKeys] }
  const alias = sshAlias !== undefined && { sshAlias }
  const host: HostRecord = { phase: 'ready', ...facts, ...alias, ...pinned }
  const attempt = { via, identityFiles, ssh }
  const login = await tryLogins(context, { ...machine, host }, attempt).catch((error: unknown) => {
    if (!(error instanceof HostKeyChanged) || !trusted || trusted.knownIn.length === 0) throw error
    const endpoint = { machine: name, address: address ?? '', port }
    throw knownHostChanged(endpoint, trusted.knownIn, error.shown)
  })
  await using transport = login.transport
  const target = { machine: name, transport, socket, signal: context.signal }
  const probe = request.installEngine
    ? (
        await provisionHost(
          target,
          engine === 'none' ? undefined : engine,
          { prompt: context.prompt, ...calls },
          { settings: await settingsOf(context, machine) },
        )
      ).probe
    : await probeHost(target)
  if (address === undefined) checkLocalEngine(machine, probe)
  const created = new Date().toISOString()
  return {
    host: {
      ...host,
      ...(login.key !== undefined && { key: login.key }),
      ...observedFacts(probe),
      created,
    },
    probe,
  }
}

/**
 * Throws kind `failed` if this computer should have an engine and none answers. Remote hosts are not checked, since an
 * engine may be installed on them later.
 */
function checkLocalEngine({ name, engine, options }: Machine, probe: HostProbe): void {
  if (engine === 'none' || probe.engine?.version !== undefined) return
  const socket = options?.['socket']
  const where = typeof socket === 'string' ? `at ${socket}` : 'on this computer'
  throw new UserError('failed', `no Docker engine is responding ${where}`, {
    machine: name,
    hint:
      socket === undefined
        ? `to install Docker: fleet create ${name} --driver local --install-engine`
        : 'check the socket path, or omit the socket option to detect the path automatically',
  })
}
