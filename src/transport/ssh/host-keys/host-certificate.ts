import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkHostName, checkUser } from '../../../machine/ssh-config-text.ts'
import { execProgram } from '../../../os/exec-file.ts'
import { trace } from '../../../os/trace.ts'
import type { SshOptions, SshTarget } from '../connect.ts'
import { fingerprint } from './host-key.ts'
import type { KnownHostKey } from './known-hosts.ts'

/** How long ssh may take to check the certificate, in seconds. */
const checkTime = 15

const certificates = [
  'ssh-ed25519-cert-v01@openssh.com',
  'ecdsa-sha2-nistp256-cert-v01@openssh.com',
  'ecdsa-sha2-nistp384-cert-v01@openssh.com',
  'ecdsa-sha2-nistp521-cert-v01@openssh.com',
  'rsa-sha2-512-cert-v01@openssh.com',
  'rsa-sha2-256-cert-v01@openssh.com',
]

/** Resolves to the output of `ssh -v` for a connection whose login fails, because no authentication method is tried. */
async function printedBySsh(args: readonly string[], { env, signal }: SshOptions): Promise<string> {
  const options = { env, timeout: checkTime * 1000, ...(signal && { signal }) }
  try {
    return (await execProgram('ssh', args, options)).stderr
  } catch (error) {
    return (error as { stderr?: string }).stderr ?? ''
  }
}

/**
 * Resolves to whether a host presents a certificate for the host key `key` that is signed by one of `authorities`
 * (`@cert-authority`, sshd(8)). ssh checks the certificate, including its name and validity period, because fleet's own
 * client cannot. Resolves to false if ssh is not installed, or if there is a jump host.
 */
export async function isCertified(
  target: Pick<
    SshTarget,
    'machine' | 'address' | 'port' | 'user' | 'settings' | 'via' | 'proxyCommand'
  >,
  key: string,
  authorities: readonly KnownHostKey[],
  options: SshOptions,
): Promise<boolean> {
  if (authorities.length === 0 || target.via !== undefined) return false
  const { machine, address, port, user, settings, proxyCommand } = target
  const alias = settings?.knownHosts?.alias
  const folder = await mkdtemp(join(tmpdir(), 'fleet-ssh-'))
  try {
    const file = join(folder, 'known_hosts')
    await writeFile(file, authorities.map((one) => `@cert-authority * ${one.key}\n`).join(''))
    const config: Readonly<Record<string, string | undefined>> = {
      UserKnownHostsFile: file,
      GlobalKnownHostsFile: '/dev/null',
      StrictHostKeyChecking: 'yes',
      HostKeyAlgorithms: certificates.join(','),
      ProxyCommand:
        proxyCommand && 'shell' in proxyCommand
          ? proxyCommand.shell.replaceAll('%', '%%')
          : undefined,
      HostKeyAlias: alias && checkHostName(machine, 'HostKeyAlias', alias),
      PreferredAuthentications: 'none',
      IdentityAgent: 'none',
      BatchMode: 'yes',
      ConnectTimeout: String(checkTime),
    }
    const settingsOf = Object.entries(config).flatMap(([name, value]) =>
      value === undefined ? [] : ['-o', `${name}=${value}`],
    )
    const login = user === '' ? [] : ['-l', checkUser(machine, user)]
    const host = checkHostName(machine, 'address', address)
    const printed = await printedBySsh(
      ['-F', 'none', '-v', '-N', ...settingsOf, ...login, '-p', String(port), '--', host],
      options,
    )
    const [, certified] = /Server host certificate: \S+ (SHA256:[^\s,]+)/.exec(printed) ?? []
    // With these known hosts, ssh completes the key exchange only after it has accepted the certificate.
    const isAccepted =
      /SSH2_MSG_NEWKEYS received/.test(printed) && !/verification failed/i.test(printed)
    trace('ssh', `ssh ${isAccepted ? 'accepts' : 'rejects'} the certificate for ${address}`)
    return isAccepted && certified === fingerprint(key)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
