import type { ProxyCommand } from '../proxy-command.ts'
import { parseDestination } from '../destination.ts'
import type { SshTarget } from '../connect.ts'
import { configOptions } from './ask-ssh.ts'
import { agentSocket } from './agent-socket.ts'
import { resolveSshConfig } from './ssh-config.ts'
import type { Environment } from '../../../os/environment.ts'

/**
 * Returns the ssh command that connects through a jump host, as ssh itself runs it for ProxyJump: with all of the
 * user's settings for the jump host.
 */
async function jumpCommand(
  jumps: readonly string[],
  { address, port }: Pick<SshTarget, 'address' | 'port'>,
  env: Environment,
): Promise<ProxyCommand> {
  const [nearest = '', ...before] = jumps.toReversed()
  const { host, user, port: jumpPort } = parseDestination(nearest)
  return {
    argv: [
      'ssh',
      ...(await configOptions(env)),
      ...(user === undefined ? [] : ['-l', user]),
      ...(jumpPort === undefined ? [] : ['-p', String(jumpPort)]),
      ...(before.length === 0 ? [] : ['-J', before.toReversed().join(',')]),
      ...['-W', `[${address}]:${port}`, '--', host],
    ],
    install: 'install the OpenSSH client',
  }
}

/**
 * Applies the user's SSH configuration to the target of a machine with an alias. Values that the configuration does not
 * set come from the machine's record, and so do the pinned host keys, which always apply. A jump host of the machine
 * takes precedence over ProxyJump and ProxyCommand.
 */
export async function resolveTarget(target: SshTarget, env: Environment): Promise<SshTarget> {
  const { alias, ...record } = target
  if (alias === undefined) return target
  const { address, user, port } = record
  const config = await resolveSshConfig(alias.destination, env, {
    fallback: { address, user, port },
    answer: alias.answer,
  })
  const { identityFiles, certificateFiles, proxyJump, settings } = config
  const endpoint = { address: config.address, user: config.user, port: config.port }
  const own = record.identityFiles.filter((file) => !identityFiles.includes(file))
  const proxyCommand =
    record.via !== undefined
      ? undefined
      : (config.proxyCommand ?? (proxyJump && (await jumpCommand(proxyJump, endpoint, env))))
  return {
    ...record,
    ...endpoint,
    destination: alias.destination,
    identityFiles: [...own, ...identityFiles],
    ...(certificateFiles !== undefined && { certificateFiles }),
    agent: agentSocket(config, env),
    ...(proxyCommand !== undefined && { proxyCommand }),
    ...(settings !== undefined && { settings }),
  }
}
