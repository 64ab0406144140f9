import { UserError } from '../../errors.ts'
import { hostCommand } from '../../machine/host-command.ts'
import { lowerMtu, startAgent } from '../../os/platform-commands.ts'
import { quoteForHost, shellQuote } from '../../os/shell-quote.ts'
import { type Verdict, fail, listOf, ok, skip, warn } from './check.ts'
import type { HostFacts, Rights } from './host-script.ts'
import type { Observation } from './observation.ts'

/** The command line that runs a command on the host as root: `fleet ssh NAME -- …`, with sudo if needed. */
export function onHost({ name, facts, login }: Observation, command: string): string {
  const isRoot = facts?.isRoot ?? login?.user === 'root'
  return hostCommand(name, command, { sudo: !isRoot })
}

/** Formats an action on the host for a user who cannot log in over SSH. */
const onConsole = (step: string): string => `on the host's console, ${step}`

export function judgeHost({ name, record, provider, isLocal }: Observation): Verdict {
  if (record !== undefined) return fail(record.message, record.hint ?? `fleet inspect ${name}`)
  switch (provider?.state) {
    case 'stopped':
    case 'paused':
      return fail(`the provider reports that the host is ${provider.state}`, `fleet start ${name}`)
    case 'absent':
      return fail('the provider reports that the host does not exist', `fleet rm ${name}`)
    case 'starting':
    case 'stopping':
      return fail(
        `the provider reports that the host is ${provider.state}`,
        `wait a minute, then run fleet doctor ${name} again`,
      )
    case 'running':
      return ok('the provider reports that the host is running')
    case 'unknown':
    case 'not-asked':
    case undefined:
      return ok(isLocal ? 'this computer' : 'the inventory contains a host for this machine')
  }
}

export function judgeName({ isLocal, jump, login, route }: Observation): Verdict {
  if (isLocal) return skip('no network connection is used')
  if (jump !== undefined) return skip(`the jump host ${jump.name} resolves the host name`)
  if (route !== undefined || login === undefined) return skip('not checked')
  const { failure, address, addresses } = login
  if (failure?.step === 'name') {
    return fail(
      `this computer cannot resolve the host name ${address}`,
      "check the host name in the inventory, and this computer's DNS settings and VPN",
    )
  }
  if (login.byProgram) return skip('an external program opens the connection')
  if (addresses.length === 0) return ok(`${address} is an IP address`)
  return ok(`${address} resolves to ${listOf(addresses.slice(0, 4))}`)
}

export function judgeRoute({ name, isLocal, jump, login, route }: Observation): Verdict {
  if (isLocal) return skip('no network connection is used')
  if (jump?.problem !== undefined) {
    const { message, hint } = jump.problem
    return fail(`the jump host ${jump.name}: ${message}`, hint ?? `fleet doctor ${jump.name}`)
  }
  if (route !== undefined) return fail(route.message, route.hint ?? `fleet inspect ${name}`)
  const { failure, byProgram } = login ?? {}
  if (failure?.step === 'route')
    return fail(failure.message, failure.hint ?? `fleet inspect ${name}`)
  if (jump !== undefined) return ok(`the connection uses the jump host ${jump.name}`)
  return ok(
    byProgram === true ? 'an external program opens the connection' : 'the connection is direct',
  )
}

export function judgePort({ name, isLocal, jump, login, firewall }: Observation): Verdict {
  if (isLocal || login === undefined) return skip('no network connection is used')
  const { failure, port, address } = login
  const where = `port ${port} on ${address}`
  if (failure?.step !== 'port') return ok(`${where} accepts connections`)
  if (firewall !== undefined) return fail(firewall.message, firewall.hint ?? `fleet allow ${name}`)
  switch (failure.reason) {
    case 'refused':
      return fail(
        `${where} refuses connections: sshd is not running, or a firewall rejects connections`,
        onConsole('run systemctl start ssh (or sshd), and allow the port in the firewall'),
      )
    case 'silent':
      return fail(
        `${where} does not answer: the host is off, or a firewall drops the packets`,
        'check that the host is running and its firewall allows this computer',
      )
    case 'no-route':
      return fail(
        `there is no route to ${address}: the host is off, or this computer is not on the same network`,
        'check that the host is running, and that this computer is on the same network or VPN',
      )
    case 'closed':
    case 'early':
    case 'not-ssh':
    case 'other':
      return jump === undefined
        ? fail(failure.message, failure.hint ?? `fleet inspect ${name}`)
        : fail(
            `the jump host ${jump.name} cannot connect to ${where}: ${lastPart(failure.message)}`,
            failure.hint ?? `check that ${name} is running`,
          )
  }
}

const lastPart = (message: string): string => message.split(': ').at(-1) ?? message

export function judgeBanner({ isLocal, login, broker, name }: Observation): Verdict {
  if (isLocal || login === undefined) return skip('no network connection is used')
  const { failure, release, port } = login
  if (failure?.step === 'banner') {
    const { printed, reason } = failure
    const quoted = printed === '' ? '' : `: it printed ${JSON.stringify(printed.slice(0, 100))}`
    if (/maxstartups/i.test(printed)) {
      const limit = broker.facts?.maxStartups
      return fail(
        `sshd rejects new connections: too many logins are in progress (MaxStartups${limit === undefined ? '' : ` ${limit}`})`,
        'wait, stop the programs that open the connections, or raise MaxStartups in /etc/ssh/sshd_config on the host',
      )
    }
    if (reason === 'not-ssh' || /^(?:HTTP\/|220[ -]|\* OK|\+OK|[<{])/.test(printed)) {
      return fail(
        `the service on port ${port} is not an SSH server${quoted}`,
        `check "port" in the entry for ${name}`,
      )
    }
    if (reason === 'silent') {
      return fail(
        'the host accepts connections but sends no SSH banner: sshd is hung, or the host is overloaded or booting',
        onConsole('restart sshd, or reboot the host'),
      )
    }
    if (reason === 'closed') {
      return fail(
        `the host closes connections before sending an SSH banner${quoted}; sshd may be starting, overloaded (MaxStartups) or blocking this computer`,
        onConsole('check the sshd log, and fail2ban if it is installed'),
      )
    }
    return fail(failure.message, failure.hint ?? onConsole('check the sshd log'))
  }
  if (failure?.step === 'key-exchange') {
    if (failure.reason === 'silent') {
      return fail(
        'the host stops responding during the key exchange: large packets are lost on the network path (MTU), or the host is overloaded',
        `lower this computer's MTU, for example: ${lowerMtu}`,
      )
    }
    return fail(failure.message, failure.hint ?? onConsole('check the sshd log'))
  }
  return ok(
    release === undefined ? 'the SSH server is running' : `the SSH server is running: ${release}`,
  )
}

export function judgeHostKey({ isLocal, login, name }: Observation): Verdict {
  if (isLocal || login === undefined) return skip('no network connection is used')
  const { failure } = login
  if (failure?.step !== 'host-key') return ok('the host key matches the pinned key')
  return fail(failure.message, `if you know that the host was rebuilt, run fleet rekey ${name}`)
}

const isTooOpen = ({ mode }: Rights): boolean => (Number.parseInt(mode, 8) & 0o022) !== 0

/**
 * The path whose wrong owner or mode makes sshd ignore authorized_keys (StrictModes in sshd_config(5)), with the reason
 * and the command that fixes it; undefined if there is no such path.
 */
function whyKeysAreIgnored(
  facts: HostFacts,
): { path: string; why: string; fix: string } | undefined {
  const owners = new Set(['root', facts.user])
  for (const [path, rights] of facts.keyFiles) {
    if (!owners.has(rights.owner)) {
      const why = `${path} belongs to ${rights.owner}`
      return { path, why, fix: `chown ${quoteForHost(facts.user ?? '')} ${quoteForHost(path)}` }
    }
    if (isTooOpen(rights)) {
      const why = `other users can write to ${path} (mode ${rights.mode})`
      return { path, why, fix: `chmod go-w ${quoteForHost(path)}` }
    }
  }
  return undefined
}

/** Whether an account with an expiry date as printed by chage(1), such as `Jan 02, 2020`, has expired. */
const hasExpired = (date: string | undefined): boolean =>
  date !== undefined && Date.parse(`${date} UTC`) < Date.now()

/** Explains a failed login by the facts that were read over the broker's connection. */
function explainByHost(observation: Observation): Verdict | undefined {
  const { login, broker, name } = observation
  const { facts } = broker
  if (login === undefined || facts === undefined) return undefined
  const fix = (command: string) => hostCommand(name, command, { sudo: !facts.isRoot })
  if (hasExpired(facts.accountExpires)) {
    return fail(
      `the account ${login.user} expired on ${facts.accountExpires}`,
      fix(`chage -E -1 ${quoteForHost(login.user)}`),
    )
  }
  if (facts.home?.state === 'missing') {
    return fail(
      `${login.user}'s home directory ${facts.home.path} is missing, so sshd cannot find authorized_keys`,
      fix(`mkhomedir_helper ${quoteForHost(login.user)}`),
    )
  }
  const ignored = whyKeysAreIgnored(facts)
  if (ignored !== undefined) {
    return fail(
      `sshd ignores ${login.user}'s authorized_keys file: ${ignored.why}`,
      fix(ignored.fix),
    )
  }
  const offered = login.keys.offered.map((key) => key.split(' ')[0] ?? '')
  const isRead = [...facts.keyFiles.keys()].some((path) => path.endsWith('/authorized_keys'))
  if (isRead && offered.length > 0 && !offered.some((key) => facts.authorized.includes(key))) {
    return fail(
      `${login.user}'s authorized_keys file contains none of the offered keys: ${login.keys.offered.join(', ')}`,
      `run fleet operator add NAME --key FILE and then fleet apply --on ${name}, or add the key to ~${login.user}/.ssh/authorized_keys on the host`,
    )
  }
  return undefined
}

const withoutPrefix = (message: string): string => message.replace(/^cannot log in to [^:]*: /, '')

export function judgeLogin(observation: Observation): Verdict {
  const { isLocal, login, name } = observation
  if (isLocal || login === undefined) return skip('no network connection is used')
  const { failure, user, keys, accepted } = login
  if (failure === undefined) {
    const key = accepted === undefined ? '' : ` with the key ${accepted}`
    const rejected =
      keys.offered.length === 0 ? '' : `; the host rejected ${keys.offered.join(', ')}`
    return ok(`${user} can log in${key}${rejected}`)
  }
  const known = explainByHost(observation)
  if (known !== undefined) return known
  if (failure.reason === 'early') {
    return fail(
      withoutPrefix(failure.message),
      failure.hint ??
        onConsole(`check the output of chage -l ${shellQuote(user)}, and the sshd log`),
    )
  }
  const { agent } = keys
  const { wanted } = login
  const isOffered =
    wanted === undefined
      ? keys.offered.length > 0
      : keys.offered.some((one) => one.startsWith(wanted))
  if (agent !== undefined && !isOffered && keys.accepted.length === 0) {
    const offered =
      keys.offered.length === 0 ? '' : `; the host rejected ${keys.offered.join(', ')}`
    return fail(
      `the SSH agent on this computer does not answer, so fleet skipped ${agent}${offered}`,
      startAgent,
    )
  }
  return fail(
    withoutPrefix(failure.message),
    failure.hint ?? `add a key to ~${user}/.ssh/authorized_keys on ${name}`,
  )
}

export function judgeShell(observation: Observation): Verdict {
  const { shell, isLocal } = observation
  if (isLocal || shell === undefined) return skip('commands run without a login shell')
  const { problem, noise } = shell
  if (problem !== undefined) {
    return fail(problem.message, problem.hint ?? onConsole("check the user's login shell"))
  }
  if (noise === '') return ok('the login shell runs commands')
  return warn(
    `the login shell prints ${JSON.stringify(noise)} before each command, which breaks scp, sftp and rsync`,
    "in the shell's startup files on the host (such as ~/.bashrc), print text only in interactive shells",
  )
}

export function judgeMtu(observation: Observation): Verdict {
  const { isLocal, large } = observation
  if (isLocal) return skip('no network connection is used')
  if (large === undefined) return skip('not checked')
  if (large.sent === 'lost') {
    return fail(
      "small packets reach the host, but large ones are lost: the path MTU is smaller than this computer's MTU",
      `on this computer, lower the network device's MTU: ${lowerMtu}`,
    )
  }
  if (large.received === 'lost') {
    return fail(
      "large packets from the host are lost: the path MTU is smaller than the host's MTU",
      `lower the MTU of the host's network device: ${onHost(observation, 'ip link set dev DEVICE mtu 1280')}`,
    )
  }
  return ok('large packets arrive in both directions')
}

/**
 * The number of concurrent sessions that fleet needs on a connection. If the server allows fewer, commands have to wait
 * for each other.
 */
export const wantedSessions = 4

export function judgeSessions({ isLocal, sessions, facts }: Observation): Verdict {
  if (isLocal) return skip('no network connection is used')
  if (sessions === undefined) return skip("this check requires fleet's built-in SSH client")
  const { opened, refused } = sessions
  const limits = facts?.maxStartups === undefined ? '' : `; MaxStartups ${facts.maxStartups}`
  if (refused === 0)
    return ok(
      `the SSH server allows ${opened} concurrent ${opened === 1 ? 'session' : 'sessions'}${limits}`,
    )
  return warn(
    `the SSH server allows only ${opened} concurrent ${opened === 1 ? 'session' : 'sessions'} per connection (MaxSessions), so further commands must wait`,
    'set MaxSessions to 10 in /etc/ssh/sshd_config on the host, and reload sshd',
  )
}

/** Converts an error to its message and hint, for an observation. */
export function problemOf(error: unknown): { message: string; hint?: string | undefined } {
  if (error instanceof UserError) return { message: error.message, hint: error.hint }
  return { message: error instanceof Error ? error.message : String(error) }
}
