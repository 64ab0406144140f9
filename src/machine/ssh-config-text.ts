import { UserError } from '../errors.ts'

/** One machine, as ssh is to reach it (ssh_config(5)). */
export interface SshHostBlock {
  /** What errors name. */
  readonly machine: string
  /** What the machine can be called on ssh's command line. */
  readonly names: readonly string[]
  readonly address: string
  readonly port: number
  readonly user?: string | undefined
  readonly identityFile?: string | undefined
  /** A name of another block. */
  readonly jump?: string | undefined
  readonly hostKeyAlias: string
  readonly knownHostsFile: string
}

/** Throws kind `inventory`: a value that a file of another program has no way to hold. */
export function unwritable(
  machine: string | undefined,
  field: string,
  value: string,
  why: string,
): UserError {
  const whose = machine === undefined ? '' : ` of ${machine}`
  return new UserError('inventory', `the ${field}${whose} is ${JSON.stringify(value)}: ${why}`, {
    machine,
    hint:
      machine === undefined ? undefined : `correct it in machines.yaml, in the entry ${machine}`,
  })
}

const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u

/** What a shell would act on: ssh puts names into commands such as ProxyCommand (CVE-2023-51385). */
const shellCharacters = /['"`$;&<>|(){}]/

/** What is wrong with a text wherever it stands in a configuration; undefined where nothing is. */
function generalFlaw(value: string): string | undefined {
  if (value === '') return 'it is empty'
  if (unprintable.test(value)) return 'it holds a line end or another control character'
  if (value.startsWith('-')) return 'ssh would take it for an option'
  return undefined
}

/** Checks a host name or an address. Throws kind `inventory`, naming the machine and the field. */
export function checkHostName(machine: string, field: string, value: string): string {
  const flaw =
    generalFlaw(value) ??
    (/[\s\\/,@#=!*?[\]]/.test(value) || shellCharacters.test(value)
      ? 'it is neither a host name nor an IP address'
      : undefined)
  if (flaw !== undefined) throw unwritable(machine, field, value, flaw)
  return value
}

/** Checks the name of a user by the rule of ssh's own command line. Throws kind `inventory`. */
export function checkUser(machine: string, value: string): string {
  const flaw =
    generalFlaw(value) ??
    (shellCharacters.test(value) || /\s-|\\$/.test(value)
      ? 'ssh takes no such user name'
      : undefined)
  if (flaw !== undefined) throw unwritable(machine, 'user', value, flaw)
  return value
}

/**
 * An argument in double quotes, the one form that every release of ssh reads alike: within it, only some of them know
 * escapes, so a quote, and a backslash where it could be one, cannot be written.
 */
function quoted(machine: string | undefined, field: string, value: string): string {
  const flaw =
    generalFlaw(value) ??
    (value.includes('"') || /\\(?:[\\']|$)/.test(value)
      ? 'ssh_config has no way to write its quotes or backslashes'
      : undefined)
  if (flaw !== undefined) throw unwritable(machine, field, value, flaw)
  return /^[\w./:@%+~-]+$/.test(value) ? value : `"${value}"`
}

/** A path where ssh expands `%` tokens and `${VARIABLES}` (ssh_config(5), TOKENS). */
function quotedPath(machine: string | undefined, field: string, value: string): string {
  if (value.includes('${')) {
    throw unwritable(machine, field, value, 'ssh would put a variable in the place of ${…}')
  }
  return quoted(machine, field, value.replaceAll('%', '%%'))
}

/** A name for a Host line, where patterns could stand too. */
function hostPattern(machine: string, name: string): string {
  return checkHostName(machine, 'name', name)
}

function userName(machine: string, value: string): string {
  if (value.includes('%')) {
    throw unwritable(machine, 'user', value, 'releases of ssh do not agree what % means in a user')
  }
  return quoted(machine, 'user', checkUser(machine, value))
}

const given = (value: string | undefined, write: (value: string) => string): string | undefined =>
  value === undefined ? undefined : write(value)

/** Writes ssh_config(5). Throws kind `inventory`, naming the machine and the field, on what it has no way to hold. */
export function formatSshConfig(blocks: readonly SshHostBlock[]): string {
  const texts = blocks.map((block) => {
    const { machine, names, address, port, user, identityFile, jump } = block
    const lines: readonly (readonly [keyword: string, value: string | undefined])[] = [
      ['HostName', checkHostName(machine, 'address', address).replaceAll('%', '%%')],
      ['Port', String(port)],
      ['User', given(user, (text) => userName(machine, text))],
      ['IdentityFile', given(identityFile, (text) => quotedPath(machine, 'key file', text))],
      ['ProxyJump', given(jump, (text) => hostPattern(machine, text))],
      ['HostKeyAlias', hostPattern(machine, block.hostKeyAlias)],
      ['UserKnownHostsFile', quotedPath(machine, 'known hosts file', block.knownHostsFile)],
      ['StrictHostKeyChecking', 'yes'],
    ]
    const told = lines.filter(([, value]) => value !== undefined)
    return [
      `Host ${names.map((name) => hostPattern(machine, name)).join(' ')}`,
      ...told.map(([keyword, value]) => `  ${keyword} ${value}`),
      '',
    ].join('\n')
  })
  return texts.join('\n')
}

/** Writes a file of known hosts (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). Keys are `TYPE BASE64`. */
export const formatKnownHosts = (
  hosts: readonly { machine: string; alias: string; keys: readonly string[] }[],
): string =>
  hosts
    .flatMap(({ machine, alias, keys }) =>
      keys.map((key) => {
        if (!/^[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,2}$/.test(key)) {
          throw unwritable(machine, 'host key', key, 'it is no public key, TYPE BASE64')
        }
        return `${hostPattern(machine, alias)} ${key}\n`
      }),
    )
    .join('')

/** The line that makes ssh read a file. Throws kind `failed` where the path has characters that Include acts on. */
export function formatInclude(file: string): string {
  if (/["\\*?[\]%]|\$\{/.test(file) || unprintable.test(file)) {
    throw new UserError('failed', `ssh cannot include ${JSON.stringify(file)}`, {
      hint: 'set FLEET_HOME to a folder whose path has no quotes, backslashes, %, *, ? or brackets',
    })
  }
  return `Include "${file}"`
}
