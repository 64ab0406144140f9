import type { Fleet } from '../app/fleet.ts'
import type { Io } from '../ui/io.ts'

/** The kinds of words that shell completion can complete. */
export type Completes =
  | 'machine'
  | 'selector'
  | 'place'
  | 'label'
  | 'profile'
  | 'operator'
  | 'stack'
  | 'swarm'
  | 'service'
  | 'driver'
  | 'set-name'
  | 'setting'
  | 'shell'
  | 'completed-shell'
  | 'container'
  | 'running-container'
  | 'stopped-container'
  | 'image'
  | 'volume'
  | 'network'
  | 'forward'
  | 'forwarded-port'
  | 'file'
  | 'nothing'

/** A positional argument. `T` is the type of the value that the command receives. */
export interface Argument<T> {
  /** As shown in usage: `<name>`, `[name]`, `<names...>`. */
  readonly usage: string
  readonly description: string
  readonly completes: Completes
  /**
   * Set if the argument names machines, which can instead be selected with options such as `--on`; using both is an
   * error. `required`: one of the two must be given. `optional`: if neither is given, the active machine is used. Only
   * the first argument can have this property.
   */
  readonly machines?: 'required' | 'optional'
  readonly value?: T
}

/** An option. `T` is the type of the value that the command receives. */
export interface Option<T> {
  /** As shown in help: `-a, --all-containers`, `--tail <lines>`. */
  readonly flags: string
  readonly description: string
  /**
   * The heading in help under which the option is listed; if absent, the option is listed under the general heading.
   */
  readonly heading?: string
  readonly completes: Completes
  /** `flag` has no value, `text` has one value, `texts` can be repeated. */
  readonly kind: 'flag' | 'text' | 'texts'
  /** Parses the value. Throws a `UserError` of kind `usage`. */
  readonly parse?: (text: string) => unknown
  readonly value?: T
}

/** A required argument. */
export const required = (
  name: string,
  description: string,
  completes: Completes = 'nothing',
): Argument<string> => ({ usage: `<${name}>`, description, completes })

/** An optional argument. */
export const optional = (
  name: string,
  description: string,
  completes: Completes = 'nothing',
): Argument<string | undefined> => ({ usage: `[${name}]`, description, completes })

/** One or more arguments. */
export const several = (
  name: string,
  description: string,
  completes: Completes = 'nothing',
): Argument<string[]> => ({ usage: `<${name}...>`, description, completes })

/** Zero or more arguments. */
export const any = (
  name: string,
  description: string,
  completes: Completes = 'nothing',
): Argument<string[]> => ({ usage: `[${name}...]`, description, completes })

/** A machine, chosen by name or by options. */
export const machineArgument = (
  description: string,
  machines: 'required' | 'optional',
): Argument<string | undefined> => ({ ...optional('name', description, 'machine'), machines })

/** Machines, chosen by name or by options. */
export const machinesArgument = (
  description: string,
  machines: 'required' | 'optional',
): Argument<string[]> => ({ ...any('names', description, 'machine'), machines })

/** An option without a value. */
export const flag = (flags: string, description: string): Option<boolean> => ({
  flags,
  description,
  completes: 'nothing',
  kind: 'flag',
})

/** An option with a value. */
export const text = (
  flags: string,
  description: string,
  completes: Completes = 'nothing',
): Option<string | undefined> => ({ flags, description, completes, kind: 'text' })

/** An option whose value is parsed. */
export const parsed = <T>(
  flags: string,
  description: string,
  parse: (text: string) => T,
  completes: Completes = 'nothing',
): Option<T | undefined> => ({ flags, description, completes, kind: 'text', parse })

/** An option that can be repeated. */
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

/** The machines chosen on the command line. */
export interface Targets {
  /** The names that are given as arguments. */
  readonly names: readonly string[]
  readonly machine: string | undefined
  readonly on: readonly string[]
  /** The number of machines to work on at the same time, if given. */
  readonly parallel: number | undefined
  /** Whether to use only the machines on which the previous command failed. */
  readonly retryFailed: boolean
  /** The time limit for each machine, in milliseconds. */
  readonly timeoutMs: number | undefined
  /** The number of failures after which no work is started on any further machine. */
  readonly maxFail: number | undefined
}

/** The requested output format. */
export interface Format {
  readonly json: boolean
  readonly quiet: boolean
  /** Whether to print identical output of several machines only once. */
  readonly fold: boolean
  /** The value of `--format`: a template for formatting the command's JSON. */
  readonly template: string | undefined
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

/** The definition of a command. */
export interface Command<A extends Arguments = Arguments, O extends Options = Options> {
  readonly name: string
  readonly aliases?: readonly string[]
  readonly summary: string
  /** Complete sentences for `--help`. */
  readonly description?: string
  readonly arguments?: A
  readonly options?: O
  /**
   * The words that precede the user's arguments in the docker command line, for commands that pass their arguments to
   * docker.
   */
  readonly dockerWords?: readonly string[]
  /**
   * Options that depend on the command line, such as those of a driver. The keys are the keys in `Invocation.options`.
   */
  readonly moreOptions?: (argv: readonly string[], fleet: Fleet) => Promise<Options>
  /**
   * `one`: accepts `--machine`. `many`: also accepts `--on` and `--all`. `swarm`: accepts `--machine` with the name of
   * a swarm.
   */
  readonly targets?: 'one' | 'many' | 'swarm'
  /** Whether the command has `--parallel` even though it does not have `--on`. */
  readonly worksOnSeveral?: boolean
  /** Whether the command has no `--parallel`, because it works on all machines at the same time or queries none. */
  readonly allAtOnce?: boolean
  /**
   * Whether the command collects answers from many machines. If so, it has `--timeout`, `--max-fail`, `--retry-failed`
   * and `--fold`.
   */
  readonly gathers?: boolean
  /** `json`: the command has `--json`. `names`: it also has `--quiet`. */
  readonly answers?: 'json' | 'names'
  /**
   * Whether the words after the command's name are passed to another program unchanged. The command receives them as
   * its first argument.
   */
  readonly passesThrough?: boolean
  /**
   * Whether the words after the first operand, or after `--`, belong to the last argument and are never parsed as
   * options of fleet.
   */
  readonly takesRest?: boolean
  /** The exit code for failures of fleet itself, if the command otherwise exits with another program's exit code. */
  readonly failureCode?: number
  readonly examples?: readonly string[]
  /** Whether the command is omitted from help. */
  readonly hidden?: boolean
  /**
   * Returns whether the broker can run the command instead of the client process. If absent, it never can. Commands
   * that have this property are listed in `cli/start.ts`.
   */
  readonly runsInBroker?: (typed: Pick<Invocation<A, O>, 'args' | 'options' | 'targets'>) => boolean
  /** Resolves to the exit code; undefined means 0. */
  readonly run: (invocation: Invocation<A, O>) => Promise<number | void>
}

/** Commands grouped under a common name, such as `container`. */
export interface CommandGroup {
  readonly name: string
  readonly summary: string
  readonly commands: readonly Command[]
  /** The command to run if none is named. */
  readonly default?: string
}

/** A section of commands in `fleet --help`. */
export interface CommandSection {
  readonly title: string
  readonly entries: readonly (Command | CommandGroup)[]
}

export const isGroup = (entry: Command | CommandGroup): entry is CommandGroup => 'commands' in entry

/** Declares a command; the types of its arguments and options are checked against its `run` function. */
export const defineCommand = <const A extends Arguments, const O extends Options>(
  command: Command<A, O>,
): Command => command as unknown as Command
