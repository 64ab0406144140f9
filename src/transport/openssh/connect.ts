import { join } from 'node:path'
import { startDeadline } from '../ssh/connect-deadline.ts'
import { retryConnecting } from '../ssh/connect-with-retry.ts'
import {
  HostKeyChanged,
  hostKeyMissing,
  hostKeyRejected,
  hostKeyRevoked,
} from '../ssh/host-keys/host-key-errors.ts'
import { loginRejected } from '../ssh/login/login-errors.ts'
import { homeOf } from '../../os/environment.ts'
import { configOptions, exists } from '../ssh/config/ask-ssh.ts'
import { openTransport, scanHostKey, timeoutOf } from '../ssh/connect.ts'
import type { Prompt, SshOptions, SshTarget } from '../ssh/connect.ts'
import { fingerprint } from '../ssh/host-keys/host-key.ts'
import { type KnownHostKey, findRevokedKeys } from '../ssh/host-keys/known-hosts.ts'
import { type Connection, watchLoss } from '../ssh/connection.ts'
import type { Transport } from '../transport.ts'
import { ignored } from '../../os/trace.ts'
import { agentBehind } from './guarded-agent.ts'
import { failureOf, lastWords } from './login-log.ts'
import { type Master, MasterFailed, startMaster } from './master.ts'
import { findSsh } from './program.ts'
import { remoteListening } from './remote-listener.ts'

/**
 * Creates the connection for an ssh process that has logged in. ssh itself probes the host, and exits if the host does
 * not answer.
 */
function connectionOf(master: Master, endpoint: SshTarget): Connection {
  const { client, stream } = master
  const { end, close, ...loss } = watchLoss(client, endpoint, () => {
    stream.destroy()
    void master[Symbol.asyncDispose]()
  })
  client.prependListener('close', () => {
    const why = lastWords(master.words)
    end(why === undefined ? undefined : new Error(why))
  })
  void master.ended.then(() => stream.destroy())
  return {
    ...{ client, stream, endpoint },
    ...loss,
    flush() {},
    settled: () => Promise.resolve(), // OpenSSH does not forward a no-op request that every host answers
    async [Symbol.asyncDispose]() {
      close()
      await master[Symbol.asyncDispose]()
    },
  }
}

/** Creates the error for a host key that ssh did not accept. */
async function explainHostKey(
  target: SshTarget,
  { log }: MasterFailed,
  revoked: readonly KnownHostKey[],
  { signal, env }: SshOptions,
): Promise<Error> {
  const shown = log.hostKey()
  const line = revoked.find(({ key }) => fingerprint(key) === shown?.fingerprint)
  if (line !== undefined) return hostKeyRevoked(target, line)
  // Callers need the key itself, but ssh prints only its fingerprint.
  const scanned =
    target.alias === undefined
      ? await scanHostKey(target, { env, ...(signal && { signal }) }).catch(
          ignored('ssh', 'read the host key'),
        )
      : undefined
  if (scanned !== undefined && fingerprint(scanned) === shown?.fingerprint)
    return new HostKeyChanged(target, target.hostKeys, scanned)
  const why = log.words.findLast((text) => /^Certificate invalid/i.test(text))
  return hostKeyRejected(target, target.hostKeys, shown?.fingerprint ?? 'another key', why)
}

/** The default key files of ssh(1), including those of security keys. */
const defaultKeyNames = ['id_ed25519', 'id_ed25519_sk', 'id_ecdsa', 'id_ecdsa_sk', 'id_rsa']

/** The target, and the socket of the agent that its commands may use. */
interface Prepared {
  readonly target: SshTarget
  readonly agent: string | undefined
}

const agentOf = ({ agent }: SshTarget, env: SshOptions['env']): string | undefined =>
  (agent === undefined ? env['SSH_AUTH_SOCK'] : agent.socket) || undefined

/**
 * Applies the user's SSH configuration to a target with an alias. For a target without an alias, adds the default keys
 * in $HOME: ssh would look for them in the account's home directory, and only if no other keys are given.
 */
async function prepare(target: SshTarget, env: SshOptions['env']): Promise<Prepared> {
  if (target.alias === undefined) {
    const folder = join(homeOf(env), '.ssh')
    const files = defaultKeyNames.map((name) => join(folder, name))
    const there = await Promise.all(files.map(exists))
    const usual = files.filter(
      (file, index) => there[index] && !target.identityFiles.includes(file),
    )
    const identityFiles = [...target.identityFiles, ...usual]
    return { target: { ...target, identityFiles }, agent: agentOf(target, env) }
  }
  const { resolveTarget } = await import('../ssh/config/resolve-target.ts')
  const resolved = await resolveTarget(target, env)
  // ssh reads the rest of the configuration itself.
  const { address, port, user, identityFiles, settings, proxyCommand } = resolved
  return {
    target: { ...target, address, port, user, identityFiles, settings, proxyCommand },
    agent: agentOf(resolved, env),
  }
}

const hostKeyFailed =
  /^Host key verification failed|HOST IDENTIFICATION HAS CHANGED|REVOKED HOST KEY/
const loginFailed = /Permission denied \(|No supported authentication methods|^sign_and_send_pubkey/

/**
 * Connects and logs in as `connectSsh` does, but with the `ssh` program of this computer and the user's ssh_config. The
 * host must present one of the pinned keys, or a certificate signed by a pinned authority. Throws as `connectSsh` does,
 * and kind `unsupported` if there is no usable `ssh` program.
 */
export async function connectOpenSsh(given: SshTarget, options: SshOptions): Promise<Transport> {
  if (given.hostKeys.length === 0) throw hostKeyMissing(given)
  const { env, prompt, signal: caller, loginTimeoutMs } = options
  const { target, agent } = await prepare(given, env)
  const { connectTimeoutMs = timeoutOf(target) } = options
  const [program, revoked, configFile] = await Promise.all([
    findSsh(env),
    findRevokedKeys(
      { address: target.address, port: target.port, ...target.settings?.knownHosts },
      env,
    ),
    // An inventory may come from other people: its names must not select commands in ssh_config (see usableAlias).
    target.alias === undefined ? ['-F', 'none'] : configOptions(env),
  ])
  using deadline = startDeadline(connectTimeoutMs, caller)
  const { signal } = deadline
  const ask: Prompt | undefined =
    prompt && ((question) => deadline.whileAsking(() => prompt(question)))
  const greeted = () => loginTimeoutMs !== undefined && deadline.restart(loginTimeoutMs)
  const open = () => {
    const settings = { program, env, revoked, agent, configFile, connectTimeoutMs, greeted, signal }
    return startMaster(target, { ...settings, prompt: ask })
  }
  const judge = async (error: unknown) => {
    if (!(error instanceof MasterFailed) || signal.aborted) return undefined
    const { words, report } = error.log
    if (words.some((line) => hostKeyFailed.test(line)))
      return explainHostKey(target, error, revoked, options)
    if (words.some((line) => loginFailed.test(line))) {
      report.banner = words.filter((line) => !loginFailed.test(line)).join('\n')
      return loginRejected(target, report)
    }
    return undefined
  }
  const failure = (error: unknown) => {
    if (!(error instanceof MasterFailed)) return { stage: 'connecting' as const, error }
    const proxy = target.proxyCommand && {
      subject: 'the ProxyCommand',
      output: lastWords(error.log.words) ?? '',
    }
    if (signal.aborted) return { stage: error.log.stage(), error: signal.reason as unknown, proxy }
    if (error.relayFailure !== undefined)
      return { stage: 'connecting' as const, error: error.relayFailure }
    return { ...failureOf(error.log, Math.round(connectTimeoutMs / 1000)), proxy }
  }
  const attempt = { endpoint: target, judge, caller, failure }
  const master = await retryConnecting(open, attempt, signal)
  if (master.acceptedKey !== undefined) options.onKeyLogin?.(master.acceptedKey)
  return openTransport(connectionOf(master, target), {
    agent: agentBehind(master.client, target.machine, master.agent, agent !== undefined),
    listen: remoteListening(master.folder, env),
  })
}
