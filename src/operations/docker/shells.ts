import { UserError } from '../../errors.ts'
import { nearest } from '../../machine/nearest.ts'

/** What changes in an environment. */
export interface EnvironmentChange {
  readonly set: Readonly<Record<string, string>>
  readonly unset: readonly string[]
}

/** How a shell takes a change of its environment. */
interface Syntax {
  /** The text that makes the change when the shell reads it. */
  readonly write: (change: EnvironmentChange) => string
  /** The command line that makes the shell read what `command` prints. */
  readonly use: (command: string) => string
  /** The same for a change that only takes away, where that differs. */
  readonly useUnset?: (command: string) => string
}

type Line = (name: string, value: string) => string

/** A text of one line for each variable. */
const lines =
  (set: Line, unset: (name: string) => string): Syntax['write'] =>
  (change) =>
    [
      ...Object.entries(change.set).map(([name, value]) => set(name, value)),
      ...change.unset.map(unset),
    ]
      .map((line) => `${line}\n`)
      .join('')

const unsayable = (name: string, value: string, why: string): UserError =>
  new UserError('unsupported', `${name} cannot be set to ${JSON.stringify(value)}: ${why}`)

const posix: Syntax = {
  write: lines(
    (name, value) => `export ${name}='${value.replaceAll("'", String.raw`'\''`)}'`,
    (name) => `unset ${name}`,
  ),
  use: (command) => `eval "$(${command})"`,
}

const syntaxes = {
  bash: posix,
  zsh: posix,
  fish: {
    write: lines(
      (name, value) => `set -gx ${name} '${value.replaceAll(/['\\]/g, String.raw`\$&`)}';`,
      (name) => `set -e ${name};`,
    ),
    use: (command) => `${command} | source`,
  },
  powershell: {
    write: lines(
      // It takes typographic quotes for quotes too.
      (name, value) => `$Env:${name} = '${value.replaceAll(/['\u2018-\u201b]/g, '$&$&')}'`,
      (name) => `Remove-Item Env:\\${name} -ErrorAction SilentlyContinue`,
    ),
    use: (command) => `${command} | Out-String | Invoke-Expression`,
  },
  cmd: {
    write: lines(
      (name, value) => {
        if (/["%]/.test(value)) throw unsayable(name, value, 'cmd cannot quote " and %')
        return `@SET "${name}=${value}"`
      },
      (name) => `@SET ${name}=`,
    ),
    use: (command) => `@FOR /f "tokens=*" %i IN ('${command}') DO @%i`,
  },
  // It has no eval: data is what it reads.
  nushell: {
    write: ({ set, unset }) =>
      `${JSON.stringify(Object.keys(set).length > 0 ? set : unset, undefined, 2)}\n`,
    use: (command) => `${command} | from json | load-env`,
    useUnset: (command) => `hide-env --ignore-errors ...(${command} | from json)`,
  },
  elvish: {
    write: lines(
      (name, value) => `set-env ${name} '${value.replaceAll("'", "''")}'`,
      (name) => `unset-env ${name}`,
    ),
    use: (command) => `eval (${command} | slurp)`,
  },
} as const satisfies Readonly<Record<string, Syntax>>

/** A shell whose environment fleet can change. */
export type Shell = keyof typeof syntaxes

export const shells = Object.keys(syntaxes) as readonly Shell[]

/** Names that a shell's program has, besides that of the shell. */
const programs: Readonly<Record<string, Shell>> = {
  sh: 'bash',
  dash: 'bash',
  ash: 'bash',
  ksh: 'bash',
  mksh: 'bash',
  nu: 'nushell',
  pwsh: 'powershell',
}

/** The shell of a program's name or path, such as `/usr/bin/zsh`; undefined for another program. */
export function shellOf(program: string): Shell | undefined {
  const name = (program.split(/[/\\]/).at(-1) ?? '').replace(/^-|\.exe$/gi, '').toLowerCase()
  return Object.hasOwn(syntaxes, name) ? (name as Shell) : programs[name]
}

/** The shell that a person named. Throws kind `usage` for one that fleet does not know. */
export function requireShell(name: string): Shell {
  const shell = shellOf(name)
  if (shell !== undefined) return shell
  const all = `known shells: ${shells.join(', ')}`
  const near = nearest(name, shells)
  throw new UserError('usage', `unknown shell ${JSON.stringify(name)}`, {
    hint: near === undefined ? all : `did you mean ${near}? ${all}`,
  })
}

/** The text that makes the change when `shell` reads it. Throws kind `unsupported` on a value that a shell cannot be given. */
export function writeChange(shell: Shell, change: EnvironmentChange): string {
  for (const [name, value] of Object.entries(change.set)) {
    if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(value)) {
      throw unsayable(name, value, 'it contains a line break or another control character')
    }
  }
  return syntaxes[shell].write(change)
}

/** What to type for `shell` to take the change that `command` prints; `unset`: one that only takes away. */
export function howToUse(shell: Shell, command: string, unset: boolean): string {
  const { use, useUnset = use }: Syntax = syntaxes[shell]
  return (unset ? useUnset : use)(command)
}
