import { UserError } from '../errors.ts'

/** A `Host` block of ssh_config(5). */
export interface SshHostBlock {
  /** The machine's name, for errors. */
  readonly machine: string
  /** The patterns in the `Host` line. */
  readonly names: readonly string[]
  readonly address: string
  readonly port: number
  readonly user?: string | undefined
  readonly identityFile?: string | undefined
  /** The command line of a program that relays the connection through its standard input and output. */
  readonly proxyCommand?: readonly string[] | undefined
  /** The name of another block, whose host is the jump host. */
  readonly jump?: string | undefined
  readonly hostKeyAlias: string
  readonly knownHostsFile: string
}

/** Returns the error of kind `inventory` for a value that the file format of another program cannot represent. */
export function unwritableError(
  machine: string | undefined,
  field: string,
  value: string,
  why: string,
): UserError {
  const whose = machine === undefined ? '' : ` of ${machine}`
  return new UserError('inventory', `the ${field}${whose} is ${JSON.stringify(value)}: ${why}`, {
    machine,
    hint: machine === undefined ? undefined : `correct the entry for ${machine} in machines.yaml`,
  })
}

const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u

/**
 * Characters that a shell interprets. ssh inserts host and user names into commands such as ProxyCommand
 * (CVE-2023-51385).
 */
const shellCharacters = /['"`$;&<>|(){}]/

/** Returns why a value cannot be written to any ssh configuration; undefined if it can. */
function generalProblem(value: string): string | undefined {
  if (value === '') return 'the value is empty'
  if (unprintable.test(value)) return 'the value contains a line break or another control character'
  if (value.startsWith('-')) return 'ssh would interpret the value as an option'
  return undefined
}

/** Checks a host name or an address. If it is not valid, throws kind `inventory`, naming the machine and the field. */
export function checkHostName(machine: string, field: string, value: string): string {
  const problem =
    generalProblem(value) ??
    (/[\s\\/,@#=!*?[\]]/.test(value) || shellCharacters.test(value)
      ? 'the value is neither a host name nor an IP address'
      : undefined)
  if (problem !== undefined) throw unwritableError(machine, field, value, problem)
  return value
}

/** Checks a user name, using the same rule as ssh's command line. Throws kind `inventory` if it is not valid. */
export function checkUser(machine: string, value: string): string {
  const problem =
    generalProblem(value) ??
    (shellCharacters.test(value) || /\s-|\\$/.test(value)
      ? 'ssh does not accept this user name'
      : undefined)
  if (problem !== undefined) throw unwritableError(machine, 'user', value, problem)
  return value
}

/**
 * Formats an argument, in double quotes if necessary. All releases of ssh read double quotes in the same way, but only
 * some support escapes in them. Throws kind `inventory` for quotes, and for backslashes that could be read as an
 * escape.
 */
function quoted(machine: string | undefined, field: string, value: string): string {
  const problem =
    generalProblem(value) ??
    (value.includes('"') || /\\(?:[\\']|$)/.test(value)
      ? 'ssh_config cannot represent these quotes or backslashes'
      : undefined)
  if (problem !== undefined) throw unwritableError(machine, field, value, problem)
  return /^[\w./:@%+~-]+$/.test(value) ? value : `"${value}"`
}

/** Formats a path for a keyword in whose value ssh expands `%` tokens and `${VARIABLES}` (ssh_config(5), TOKENS). */
export function formatSshPath(machine: string | undefined, field: string, value: string): string {
  if (value.includes('${')) {
    throw unwritableError(machine, field, value, 'ssh would expand ${…} as a variable')
  }
  return quoted(machine, field, value.replaceAll('%', '%%'))
}

/**
 * Formats a command that ssh passes to the user's shell after expanding `%` tokens. Throws kind `inventory` for words
 * that any shell could interpret.
 */
function commandLine(machine: string, words: readonly string[]): string {
  const unsafe = words.find((word) => !/^[\w./:@%+=,-]+$/.test(word))
  if (unsafe === undefined) return words.map((word) => word.replaceAll('%', '%%')).join(' ')
  throw unwritableError(
    machine,
    'tunnel argument',
    unsafe,
    'a shell would interpret some of the characters',
  )
}

/** Returns a literal name for a `Host` line. Throws kind `inventory` for a pattern, which ssh would accept there. */
function hostPattern(machine: string, name: string): string {
  return checkHostName(machine, 'name', name)
}

function userName(machine: string, value: string): string {
  if (value.includes('%')) {
    throw unwritableError(
      machine,
      'user',
      value,
      'different versions of ssh interpret % in user names differently',
    )
  }
  return quoted(machine, 'user', checkUser(machine, value))
}

const optional = (
  value: string | undefined,
  write: (value: string) => string,
): string | undefined => (value === undefined ? undefined : write(value))

/**
 * Formats an ssh configuration (ssh_config(5)). For values that cannot be written, throws kind `inventory`, naming the
 * machine and the field.
 */
export function formatSshConfig(blocks: readonly SshHostBlock[]): string {
  const texts = blocks.map((block) => {
    const { machine, names, address, port, user, identityFile, jump } = block
    const lines: readonly (readonly [keyword: string, value: string | undefined])[] = [
      ['HostName', checkHostName(machine, 'address', address).replaceAll('%', '%%')],
      ['Port', String(port)],
      ['User', optional(user, (text) => userName(machine, text))],
      ['IdentityFile', optional(identityFile, (text) => formatSshPath(machine, 'key file', text))],
      [
        'ProxyCommand',
        block.proxyCommand === undefined ? undefined : commandLine(machine, block.proxyCommand),
      ],
      ['ProxyJump', optional(jump, (text) => hostPattern(machine, text))],
      ['HostKeyAlias', hostPattern(machine, block.hostKeyAlias)],
      ['UserKnownHostsFile', formatSshPath(machine, 'known hosts file', block.knownHostsFile)],
      ['StrictHostKeyChecking', 'yes'],
    ]
    const present = lines.filter(([, value]) => value !== undefined)
    return [
      `Host ${names.map((name) => hostPattern(machine, name)).join(' ')}`,
      ...present.map(([keyword, value]) => `  ${keyword} ${value}`),
      '',
    ].join('\n')
  })
  return texts.join('\n')
}

/** Formats a known_hosts file (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). Keys have the form `TYPE BASE64`. */
export const formatKnownHosts = (
  hosts: readonly { machine: string; alias: string; keys: readonly string[] }[],
): string =>
  hosts
    .flatMap(({ machine, alias, keys }) =>
      keys.map((key) => {
        if (!/^[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,2}$/.test(key)) {
          throw unwritableError(
            machine,
            'host key',
            key,
            'the value is not a public key (TYPE BASE64)',
          )
        }
        return `${hostPattern(machine, alias)} ${key}\n`
      }),
    )
    .join('')

/**
 * Formats an `Include` line for ssh_config. Throws kind `failed` if the path contains characters that Include
 * interprets.
 */
export function formatInclude(file: string): string {
  if (/["\\*?[\]%]|\$\{/.test(file) || unprintable.test(file)) {
    throw new UserError('failed', `ssh cannot include ${JSON.stringify(file)}`, {
      hint: 'set FLEET_HOME to a directory whose path has no quotes, backslashes, %, *, ? or brackets',
    })
  }
  return `Include "${file}"`
}
