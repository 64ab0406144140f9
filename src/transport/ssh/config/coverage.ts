import type { Destination } from '../destination.ts'

/** Settings that decide how a connection is made, and that fleet applies. In lower case, as `ssh -G` prints them. */
const applied = new Set(
  `hostname user port identityfile identityagent certificatefile identitiesonly proxycommand proxyjump proxyusefdpass
   hostkeyalias userknownhostsfile globalknownhostsfile addressfamily bindaddress bindinterface connecttimeout
   serveraliveinterval serveralivecountmax kexalgorithms ciphers macs hostkeyalgorithms pubkeyacceptedalgorithms
   pubkeyacceptedkeytypes preferredauthentications passwordauthentication kbdinteractiveauthentication
   challengeresponseauthentication pubkeyauthentication numberofpasswordprompts`.split(/\s+/),
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

const keywordOf = (line: string): string => line.split(' ', 1)[0] ?? ''

/** What `ssh -G` prints of a host and not of this computer's own configuration. */
const differing = (lines: readonly string[], system: readonly string[]): readonly string[] => {
  const usual = new Set(system)
  return lines.filter((line) => line !== '' && !usual.has(line))
}

/** Settings of the user that have no effect in fleet, by their names in ssh_config(5). */
export function findIgnored(
  lines: readonly string[],
  system: readonly string[],
): readonly string[] {
  const keywords = differing(lines, system).map(keywordOf)
  const ignored = keywords.filter((name) => !applied.has(name) && !irrelevant.has(name))
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
  return differing(lines, system).some((line) => applied.has(keywordOf(line)) && !typed.has(line))
}
