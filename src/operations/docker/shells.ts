import { UserError } from '../../errors.ts'
import { nearest } from '../../machine/nearest-name.ts'

/** Variables to set and to remove. */
export interface EnvironmentChange {
  readonly set: Readonly<Record<string, string>>
  readonly unset: readonly string[]
}

/** The syntax of a shell. */
interface Syntax {
  /** Formats the commands that make the change. */
  readonly write: (change: EnvironmentChange) => string
  /** The command line that evaluates the output of `command`. */
  readonly use: (command: string) => string
  /** The command line for a change that only removes variables, if it differs from the result of `use`. */
  readonly useUnset?: (command: string) => string
}

type Line = (name: string, value: string) => string

/** Formats one line for each variable. */
const lines =
  (set: Line, unset: (name: string) => string): Syntax['write'] =>
  (change) =>
    [
      ...Object.entries(change.set).map(([name, value]) => set(name, value)),
      ...change.unset.map(unset),
    ]
      .map((line) => `${line}\n`)
      .join('')

const unsupportedValue = (name: string, value: string, why: string): UserError =>
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
      // PowerShell also treats typographic quotes as quotes.
      (name, value) => `$Env:${name} = '${value.replaceAll(/['\u2018-\u201b]/g, '$&$&')}'`,
      (name) => `Remove-Item Env:\\${name} -ErrorAction SilentlyContinue`,
    ),
    use: (command) => `${command} | Out-String | Invoke-Expression`,
  },
  cmd: {
    write: lines(
      (name, value) => {
        if (/["%]/.test(value)) throw unsupportedValue(name, value, 'cmd cannot quote " or %')
        return `@SET "${name}=${value}"`
      },
      (name) => `@SET ${name}=`,
    ),
    use: (command) => `@FOR /f "tokens=*" %i IN ('${command}') DO @%i`,
  },
  // Nushell has no eval, so it reads JSON.
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

/** Other program names of shells. */
const programs: Readonly<Record<string, Shell>> = {
  sh: 'bash',
  dash: 'bash',
  ash: 'bash',
  ksh: 'bash',
  mksh: 'bash',
  nu: 'nushell',
  pwsh: 'powershell',
}

/** The shell with this program name or path, such as `/usr/bin/zsh`; undefined if the program is not a known shell. */
export function shellOf(program: string): Shell | undefined {
  const name = (program.split(/[/\\]/).at(-1) ?? '').replace(/^-|\.exe$/gi, '').toLowerCase()
  return Object.hasOwn(syntaxes, name) ? (name as Shell) : programs[name]
}

/** The shell with this name. Throws kind `usage` for an unknown shell. */
export function requireShell(name: string): Shell {
  const shell = shellOf(name)
  if (shell !== undefined) return shell
  const all = `known shells: ${shells.join(', ')}`
  const near = nearest(name, shells)
  throw new UserError('usage', `unknown shell ${JSON.stringify(name)}`, {
    hint: near === undefined ? all : `did you mean ${near}? ${all}`,
  })
}

/** Formats a change for `shell`. Throws kind `unsupported` for a value that the shell cannot express. */
export function writeChange(shell: Shell, change: EnvironmentChange): string {
  for (const [name, value] of Object.entries(change.set)) {
    if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(value)) {
      throw unsupportedValue(name, value, 'it contains a line break or another control character')
    }
  }
  return syntaxes[shell].write(change)
}

/**
 * The command line that applies the output of `command` in `shell`; `unset`: whether the change only removes variables.
 */
export function howToUse(shell: Shell, command: string, unset: boolean): string {
  const { use, useUnset = use }: Syntax = syntaxes[shell]
  return (unset ? useUnset : use)(command)
}
