import type { Environment } from '../../../os/environment.ts'
import type { SshClient } from '../connect.ts'
import type { Destination } from '../destination.ts'
import { valueOf } from './answer.ts'
import { hasKerberosTicket } from './kerberos.ts'

/** Connection settings that fleet applies, in lower case, as `ssh -G` prints them. */
const applied = new Set(
  `hostname user port identityfile identityagent certificatefile identitiesonly proxycommand proxyjump proxyusefdpass
   hostkeyalias userknownhostsfile globalknownhostsfile addressfamily bindaddress bindinterface connecttimeout
   serveraliveinterval serveralivecountmax kexalgorithms ciphers macs hostkeyalgorithms pubkeyacceptedalgorithms
   pubkeyacceptedkeytypes preferredauthentications passwordauthentication kbdinteractiveauthentication
   challengeresponseauthentication pubkeyauthentication numberofpasswordprompts gssapiauthentication`.split(
    /\s+/,
  ),
)

/** Settings that only the `openssh` client applies. */
const appliedByOpenSsh = new Set(
  `pkcs11provider securitykeyprovider hostbasedauthentication hostbasedacceptedalgorithms hostbasedkeytypes enablesshkeysign
   compression rekeylimit requiredrsasize casignaturealgorithms revokedhostkeys addkeystoagent connectionattempts ipqos
   gssapikexalgorithms gssapikeyexchange gssapirenewalforcesrekey gssapitrustdns gssapiclientidentity
   gssapiserveridentity`.split(/\s+/),
)

/**
 * Settings that do not matter to fleet: they concern ssh's own terminal, logs and connection sharing, details of
 * forwardings (the forwardings themselves are reported), the writing of known_hosts, or the reading of the
 * configuration, which `ssh -G` has already done. docs/ssh.md lists them.
 */
const irrelevant = new Set(
  `host canonicaldomains canonicalizefallbacklocal canonicalizehostname canonicalizemaxdots canonicalizepermittedcnames
   checkhostip clearallforwardings controlmaster controlpath controlpersist enableescapecommandline escapechar
   exitonforwardfailure fingerprinthash forkafterauthentication forwardx11timeout forwardx11trusted hashknownhosts
   ignoreunknown loglevel logverbose permitlocalcommand permitremoteopen sessiontype stdinnull syslogfacility tag
   tunneldevice updatehostkeys visualhostkey warnweakcrypto xauthlocation`.split(/\s+/),
)

/** The spelling of keywords in ssh_config(5), for messages, keyed by the keyword in lower case. */
const spelling = new Map(
  `RemoteCommand LocalCommand LocalForward RemoteForward DynamicForward ForwardAgent ForwardX11 HostbasedAuthentication
   HostbasedAcceptedAlgorithms EnableSSHKeysign PKCS11Provider SecurityKeyProvider Compression VerifyHostKeyDNS
   StrictHostKeyChecking NoHostAuthenticationForLocalhost SendEnv SetEnv RequestTTY BatchMode RekeyLimit Tunnel
   KnownHostsCommand RevokedHostKeys RequiredRSASize CASignatureAlgorithms AddKeysToAgent UseKeychain ConnectionAttempts
   TCPKeepAlive IPQoS GatewayPorts StreamLocalBindMask StreamLocalBindUnlink ObscureKeystrokeTiming ChannelTimeout
   GSSAPIDelegateCredentials GSSAPIKexAlgorithms GSSAPIKeyExchange GSSAPIRenewalForcesRekey GSSAPITrustDns
   GSSAPIClientIdentity GSSAPIServerIdentity`
    .split(/\s+/)
    .map((name) => [name.toLowerCase(), name]),
)

/** Whether the user's settings for a host allow a login with a Kerberos ticket. */
export function allowsKerberos(lines: readonly string[]): boolean {
  const preferred = valueOf(lines, 'preferredauthentications')?.split(',')
  return (
    valueOf(lines, 'gssapiauthentication') === 'yes' &&
    (preferred === undefined || preferred.includes('gssapi-with-mic'))
  )
}

/**
 * Resolves to the reason why a host needs OpenSSH according to the user's settings, for use in a sentence; undefined if
 * fleet's own client supports them.
 */
export async function needsOpenSsh(
  lines: readonly string[],
  env: Environment,
): Promise<string | undefined> {
  const provider = valueOf(lines, 'pkcs11provider')
  if (provider !== undefined && provider !== 'none') return `PKCS11Provider is ${provider}`
  if (!allowsKerberos(lines)) return undefined
  if (valueOf(lines, 'pubkeyauthentication') === 'no')
    return 'GSSAPIAuthentication is on and PubkeyAuthentication is off'
  return (await hasKerberosTicket(env))
    ? 'GSSAPIAuthentication is on and you have a Kerberos ticket'
    : undefined
}

/** Returns the keyword of a line in lower case. OpenSSH 9.2 prints CanonicalizePermittedCNAMEs with capital letters. */
const keywordOf = (line: string): string => (line.split(' ', 1)[0] ?? '').toLowerCase()

/** Returns the lines for a host that are not in the system-wide configuration. */
const differing = (lines: readonly string[], system: readonly string[]): readonly string[] => {
  const usual = new Set(system)
  return lines.filter((line) => line !== '' && !usual.has(line))
}

/** Returns the names of the user's settings that have no effect with `client`, as ssh_config(5) spells them. */
export function findIgnored(
  lines: readonly string[],
  system: readonly string[],
  client: SshClient,
): readonly string[] {
  const isApplied = (name: string): boolean =>
    applied.has(name) || (client === 'openssh' && appliedByOpenSsh.has(name))
  const keywords = differing(lines, system).map(keywordOf)
  const ignored = keywords.filter((name) => !isApplied(name) && !irrelevant.has(name))
  return [...new Set(ignored)].map((name) => spelling.get(name) ?? name)
}

/**
 * Whether the user's configuration affects how to connect to a host, beyond the destination and the system-wide
 * configuration.
 */
export function isConfigured(
  { host, user, port }: Destination,
  lines: readonly string[],
  { system, client }: { readonly system: readonly string[]; readonly client: SshClient },
): boolean {
  const typed = new Set([
    `hostname ${host}`,
    `hostname ${host.toLowerCase()}`,
    ...(user === undefined ? [] : [`user ${user}`]),
    ...(port === undefined ? [] : [`port ${port}`]),
  ])
  const isApplied = (name: string): boolean =>
    applied.has(name) || (client === 'openssh' && appliedByOpenSsh.has(name))
  return differing(lines, system).some((line) => isApplied(keywordOf(line)) && !typed.has(line))
}
