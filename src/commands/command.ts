import type { Fleet } from '../app/fleet.ts'
import type { Io } from '../ui/io.ts'

/** What the shell can complete a word with. */
export type Completes =
  | 'machine'
  | 'selector'
  | 'place'
  | 'label'
  | 'profile'
  | 'operator'
  | 'driver'
  | 'set-name'
  | 'setting'
  | 'shell'
  | 'completed-shell'
  | 'container'
  | 'running-container'
  | 'stopped-container'
  | 'image'
  | 'file'
  | 'nothing'

/** A positional argument. `T` is what the command receives. */
export interface Argument<T> {
  /** As shown in usage: `<name>`, `[name]`, `<names...>`. */
  readonly usage: string
  readonly description: string
  readonly completes: Completes
  /**
   * Names machines, which options such as `--on` may choose in its place; both are an error. `required`: one of the two must be there,
   * `optional`: without either the active machine is meant. The first argument alone can be one.
   */
  readonly machines?: 'required' | 'optional'
  readonly value?: T
}

/** An option. `T` is what the command receives. */
export interface Option<T> {
  /** As shown in help: `-a, --all-containers`, `--tail <lines>`. */
  readonly flags: string
  readonly description: string
  /** What help lists it under, where that is not with all others. */
  readonly heading?: string
  readonly completes: Completes
  /** There or not; with a text; with a text and more than once. */
  readonly kind: 'flag' | 'text' | 'texts'
  /** Turns what was typed into a value; throws a usage `UserError`. */
  readonly parse?: (text: string) => unknown
  readonly value?: T
}

/** An argument that must be given. */
export const required = (
  name: string,
  description: string,
  completes: Completes = 'nothing',
): Argument<string> => ({ usage: `<${name}>`, description, completes })

/** An argument that may be left out. */
export const optional = (
  name: string,
  description: string,
  completes: Completes = 'nothing',
): Argument<string | undefined> => ({ usage: `[${name}]`, description, completes })

/** Any number of arguments, at least one. */
export const several = (
  name: string,
  description: string,
  completes: Completes = 'nothing',
): Argument<string[]> => ({ usage: `<${name}...>`, description, completes })

/** Any number of arguments. */
export const any = (
  name: string,
  description: string,
  completes: Completes = 'nothing',
): Argument<string[]> => ({ usage: `[${name}...]`, description, completes })

/** A machine, named here or chosen by options. */
export const machineArgument = (
  description: string,
  machines: 'required' | 'optional',
): Argument<string | undefined> => ({ ...optional('name', description, 'machine'), machines })

/** Machines, named here or chosen by options. */
export const machinesArgument = (
  description: string,
  machines: 'required' | 'optional',
): Argument<string[]> => ({ ...any('names', description, 'machine'), machines })

/** An option that is there or not. */
export const flag = (flags: string, description: string): Option<boolean> => ({
  flags,
  description,
  completes: 'nothing',
  kind: 'flag',
})

/** An option with a text. */
export const text = (
  flags: string,
  description: string,
  completes: Completes = 'nothing',
): Option<string | undefined> => ({ flags, description, completes, kind: 'text' })

/** An option whose text is parsed. */
export const parsed = <T>(
  flags: string,
  description: string,
  parse: (text: string) => T,
  completes: Completes = 'nothing',
): Option<T | undefined> => ({ flags, description, completes, kind: 'text', parse })

/** An option that may be given more than once. */
export const texts = (
  flags: string,
  description: string,
  completes: Completes = 'nothing',
): Option<string[]> => ({ flags, description, completes, kind: 'texts' })

type Arguments = Readonly<Record<string, Argument<unknown>>>
type Options = Readonly<Record<string, Option<unknown>>>
type ValuesOf<Definitions extends Readonly<Record<string, { readonly value?: unknown }>>> = {
  readonly [Key in keyof Definitions]: Definitions[Key] extends Argument<infer T>
    ? T
    : Definitions[Key] extends Option<infer T>
      ? T
      : never
}

/** The machines that a person named on the command line. */
export interface Targets {
  /** Those named as arguments. */
  readonly names: readonly string[]
  readonly machine: string | undefined
  readonly on: readonly string[]
  /** How many of them to work on at once, if that was said. */
  readonly parallel: number | undefined
  /** Only those on which the last command for several did not succeed. */
  readonly retryFailed: boolean
  /** How long the work on each may take. */
  readonly timeoutMs: number | undefined
  /** After how many failures no more are begun with. */
  readonly maxFail: number | undefined
}

/** How a person wants the answer. */
export interface Format {
  readonly json: boolean
  readonly quiet: boolean
  /** What several machines answer alike is to be told once. */
  readonly fold: boolean
}

/** One run of a command. */
export interface Invocation<A extends Arguments = Arguments, O extends Options = Options> {
  readonly fleet: Fleet
  readonly io: Io
  readonly args: ValuesOf<A>
  readonly options: ValuesOf<O>
  readonly targets: Targets
  readonly format: Format
}

/** Something a person can type, as data. */
export interface Command<A extends Arguments = Arguments, O extends Options = Options> {
  readonly name: string
  readonly aliases?: readonly string[]
  readonly summary: string
  /** More than the summary, for `--help`. */
  readonly description?: string
  readonly arguments?: A
  readonly options?: O
  /** What docker is given before the words of a command that passes through. */
  readonly dockerWords?: readonly string[]
  /** Options that depend on others, such as a driver's. Keys are those of `Invocation.options`. */
  readonly moreOptions?: (argv: readonly string[], fleet: Fleet) => Promise<Options>
  /** `one`: takes `--machine`. `many`: takes `--on` and `--all` too. */
  readonly targets?: 'one' | 'many'
  /** Takes no `--on`, and works on several machines all the same: takes `--parallel`. */
  readonly worksOnSeveral?: boolean
  /** Of many machines, asks all at once, or none: takes no `--parallel`. */
  readonly allAtOnce?: boolean
  /** Whether it gathers what many machines answer: takes `--timeout`, `--max-fail`, `--retry-failed` and `--fold`. */
  readonly gathers?: boolean
  /** Whether it takes `--json`, or `--json` and `--quiet`. */
  readonly answers?: 'json' | 'names'
  /** Words after the name go to another program unread; the first argument takes them. */
  readonly passesThrough?: boolean
  /** Words after the first operand, or after `--`, are the last argument's: none of them is an option of fleet. */
  readonly takesRest?: boolean
  /** The exit code of fleet's own failures, where the command gives back another program's. */
  readonly failureCode?: number
  readonly examples?: readonly string[]
  /** Not for people to type, so not in `--help`. */
  readonly hidden?: boolean
  /** Resolves to the exit code; nothing stands for 0. */
  readonly run: (invocation: Invocation<A, O>) => Promise<number | void>
}

/** Commands under one word, such as `container`. */
export interface CommandGroup {
  readonly name: string
  readonly summary: string
  readonly commands: readonly Command[]
  /** The one of them that is meant where none is named. */
  readonly default?: string
}

/** Commands as `fleet --help` lists them. */
export interface CommandSection {
  readonly title: string
  readonly entries: readonly (Command | CommandGroup)[]
}

export const isGroup = (entry: Command | CommandGroup): entry is CommandGroup => 'commands' in entry

/** Declares a command, keeping the types of its arguments and options. */
export const defineCommand = <const A extends Arguments, const O extends Options>(
  command: Command<A, O>,
): Command => command as unknown as Command
