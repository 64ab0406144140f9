import type { SshClient } from '../connect.ts'
import type { Destination } from '../destination.ts'

/** Settings that decide how a connection is made, and that fleet applies. In lower case, as `ssh -G` prints them. */
const applied = new Set(
  `hostname user port identityfile identityagent certificatefile identitiesonly proxycommand proxyjump proxyusefdpass
   hostkeyalias userknownhostsfile globalknownhostsfile addressfamily bindaddress bindinterface connecttimeout
   serveraliveinterval serveralivecountmax kexalgorithms ciphers macs hostkeyalgorithms pubkeyacceptedalgorithms
   pubkeyacceptedkeytypes preferredauthentications passwordauthentication kbdinteractiveauthentication
   challengeresponseauthentication pubkeyauthentication numberofpasswordprompts`.split(/\s+/),
)

/** Settings that the client openssh applies besides these. */
const appliedByOpenSsh = new Set(
  `pkcs11provider securitykeyprovider gssapiauthentication hostbasedauthentication compression rekeylimit requiredrsasize
   casignaturealgorithms revokedhostkeys`.split(/\s+/),
)

/**
 * Settings without a meaning here: they concern ssh's own terminal, logs, forwarding defaults and connection sharing, how it
 * writes known_hosts, or how it reads its configuration, which `ssh -G` has done already. docs/ssh.md lists them.
 */
const irrelevant = new Set(
  `host addkeystoagent batchmode canonicaldomains canonicalizefallbacklocal canonicalizehostname canonicalizemaxdots
   canonicalizepermittedcnames checkhostip clearallforwardings connectionattempts controlmaster controlpath controlpersist
   enableescapecommandline enablesshkeysign escapechar exitonforwardfailure fingerprinthash forkafterauthentication
   forwardx11timeout forwardx11trusted gatewayports gssapidelegatecredentials gssapikexalgorithms gssapikeyexchange
   gssapirenewalforcesrekey gssapitrustdns gssapiclientidentity gssapiserveridentity hashknownhosts
   hostbasedacceptedalgorithms hostbasedkeytypes ignoreunknown ipqos loglevel logverbose nohostauthenticationforlocalhost
   obscurekeystroketiming permitlocalcommand permitremoteopen requesttty sendenv sessiontype stdinnull streamlocalbindmask
   streamlocalbindunlink syslogfacility tag tcpkeepalive tunneldevice updatehostkeys visualhostkey warnweakcrypto
   xauthlocation channeltimeout`.split(/\s+/),
)

/** The spelling of ssh_config(5), for messages. */
const spelling = new Map(
  `RemoteCommand LocalCommand LocalForward RemoteForward DynamicForward ForwardAgent ForwardX11 GSSAPIAuthentication
   HostbasedAuthentication PKCS11Provider SecurityKeyProvider Compression VerifyHostKeyDNS StrictHostKeyChecking SetEnv
   RekeyLimit Tunnel KnownHostsCommand RevokedHostKeys RequiredRSASize CASignatureAlgorithms`
    .split(/\s+/)
    .map((name) => [name.toLowerCase(), name]),
)

/** What the user's settings of a host need that fleet's own client cannot do, for a sentence. */
export function needsOpenSsh(lines: readonly string[]): string | undefined {
  const value = (keyword: string) =>
    lines.find((line) => line.startsWith(`${keyword} `))?.slice(keyword.length + 1)
  const provider = value('pkcs11provider')
  if (provider !== undefined && provider !== 'none') return `PKCS11Provider is ${provider}`
  const [gssapi, keys] = [value('gssapiauthentication'), value('pubkeyauthentication')]
  if (gssapi === 'yes' && keys === 'no')
    return 'GSSAPIAuthentication is on and PubkeyAuthentication is off'
  return undefined
}

const keywordOf = (line: string): string => line.split(' ', 1)[0] ?? ''

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

/** Whether the user's configuration says how to connect to a host, beyond what was typed. */
export function isConfigured(
  { host, user, port }: Destination,
  lines: readonly string[],
  system: readonly string[],
): boolean {
  const typed = new Set([
    `hostname ${host}`,
    `hostname ${host.toLowerCase()}`,
    ...(user === undefined ? [] : [`user ${user}`]),
    ...(port === undefined ? [] : [`port ${port}`]),
  ])
  const isApplied = (name: string): boolean =>
    applied.has(name) || (needsOpenSsh(lines) !== undefined && appliedByOpenSsh.has(name))
  return differing(lines, system).some((line) => isApplied(keywordOf(line)) && !typed.has(line))
}
