import type { Environment } from '../../../os/environment.ts'
import type { SshClient } from '../connect.ts'
import type { Destination } from '../destination.ts'
import { valueOf } from './answer.ts'
import { hasKerberosTicket } from './kerberos.ts'

/** Settings that decide how a connection is made, and that fleet applies. In lower case, as `ssh -G` prints them. */
const applied = new Set(
  `hostname user port identityfile identityagent certificatefile identitiesonly proxycommand proxyjump proxyusefdpass
   hostkeyalias userknownhostsfile globalknownhostsfile addressfamily bindaddress bindinterface connecttimeout
   serveraliveinterval serveralivecountmax kexalgorithms ciphers macs hostkeyalgorithms pubkeyacceptedalgorithms
   pubkeyacceptedkeytypes preferredauthentications passwordauthentication kbdinteractiveauthentication
   challengeresponseauthentication pubkeyauthentication numberofpasswordprompts gssapiauthentication`.split(
    /\s+/,
  ),
)

/** Settings that the client openssh applies besides these. */
const appliedByOpenSsh = new Set(
  `pkcs11provider securitykeyprovider hostbasedauthentication hostbasedacceptedalgorithms hostbasedkeytypes enablesshkeysign
   compression rekeylimit requiredrsasize casignaturealgorithms revokedhostkeys addkeystoagent connectionattempts ipqos
   gssapikexalgorithms gssapikeyexchange gssapirenewalforcesrekey gssapitrustdns gssapiclientidentity
   gssapiserveridentity`.split(/\s+/),
)

/**
 * Settings without a meaning here: they concern ssh's own terminal, logs and connection sharing, details of forwardings that
 * are named themselves, how it writes known_hosts, or how it reads its configuration, which `ssh -G` has done already.
 * docs/ssh.md lists them.
 */
const irrelevant = new Set(
  `host canonicaldomains canonicalizefallbacklocal canonicalizehostname canonicalizemaxdots canonicalizepermittedcnames
   checkhostip clearallforwardings controlmaster controlpath controlpersist enableescapecommandline escapechar
   exitonforwardfailure fingerprinthash forkafterauthentication forwardx11timeout forwardx11trusted hashknownhosts
   ignoreunknown loglevel logverbose permitlocalcommand permitremoteopen sessiontype stdinnull syslogfacility tag
   tunneldevice updatehostkeys visualhostkey warnweakcrypto xauthlocation`.split(/\s+/),
)

/** The spelling of ssh_config(5), for messages. */
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

/** Whether the user's settings of a host allow a login with a Kerberos ticket. */
export function allowsKerberos(lines: readonly string[]): boolean {
  const preferred = valueOf(lines, 'preferredauthentications')?.split(',')
  return (
    valueOf(lines, 'gssapiauthentication') === 'yes' &&
    (preferred === undefined || preferred.includes('gssapi-with-mic'))
  )
}

/** What the user's settings of a host need that fleet's own client cannot do, for a sentence. */
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

/** OpenSSH 9.2 prints CanonicalizePermittedCNAMEs with a capital. */
const keywordOf = (line: string): string => (line.split(' ', 1)[0] ?? '').toLowerCase()

/** What `ssh -G` prints of a host and not of this computer's own configuration. */
const differing = (lines: readonly string[], system: readonly string[]): readonly string[] => {
  const usual = new Set(system)
  return lines.filter((line) => line !== '' && !usual.has(line))
}

/** Settings of the user that have no effect with a client of fleet, by their names in ssh_config(5). */
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

/** Whether the configuration says how to connect to a host, beyond what was typed and what this computer's own has. */
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
