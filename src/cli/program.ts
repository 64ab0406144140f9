import { version as nodeVersion } from 'node:process'
import { Command as Program, CommanderError, Option as ProgramOption } from 'commander'
import {
  type CommonOption,
  commonOptions,
  commonOptionsOf,
  inventoryIn,
  operandsIn,
  verbOf,
  driverIn,
} from '../commands/options/common-options.ts'
import { type Command, type Invocation, type Option, isGroup } from '../commands/command.ts'
import { suggestCommand } from '../commands/docker-cli/suggest-command.ts'
import { habitOf } from '../commands/habit-hints.ts'
import { formatOverview } from '../commands/help/overview.ts'
import { isTopic, topics } from '../commands/help/topics.ts'
import { asksForVersion } from './argv.ts'
import { commandList } from '../commands/index.ts'
import { findCommand, findGroup, hasName, isKnown } from '../commands/find-command.ts'
import {
  type CommonValues,
  type TypedWords,
  joinCommon,
  splitRest,
  takeLeadingTargets,
  targetsOf,
  withNames,
  withRest,
} from '../commands/options/targets.ts'
import { UserError, exitCodes } from '../errors.ts'
import { type FleetOptions, type Fleet, openFleet } from '../app/fleet.ts'
import { createRedactor } from '../os/redact.ts'
import { shellQuote } from '../os/shell-quote.ts'
import {
  ignored,
  isTraced,
  newTraceId,
  readTopics,
  runTraced,
  trace,
  traceError,
  traceOutput,
} from '../os/trace.ts'
import { failureCodeOf, writeFailure } from '../ui/failure.ts'
import { styleHelp } from '../ui/help-text.ts'
import { type Io, type ProcessIo, openIo } from '../ui/io.ts'

/** The exit code of a command, and how to report its failure. */
interface RunResult {
  code: number
  json: boolean
  failureCode: number | undefined
}

/** The values of omitted options, keyed by kind. */
const absent = { flag: false, text: undefined, texts: [] } as const

const collect = (text: string, before: readonly string[] = []): string[] => [...before, text]

/** Runs `read`, which parses an option's value, and adds the option's name to any user errors. */
function naming<Value>({ long }: ProgramOption, read: () => Value): Value {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    throw new UserError(error.kind, `${long}: ${error.message}`, { hint: error.hint })
  }
}

function programOption(option: Option<unknown>): ProgramOption {
  const made = new ProgramOption(option.flags, option.description)
  const { parse, heading } = option
  if (heading !== undefined) made.helpGroup(`${heading}:`)
  if (option.kind === 'texts') made.argParser(collect)
  else if (parse !== undefined) made.argParser((text) => naming(made, () => parse(text)))
  return made
}

/** One run of a command line. */
interface Run extends TypedWords {
  readonly io: Io
  /** The version of fleet. */
  readonly version: string
  readonly ran: RunResult
  readonly hosted: FleetOptions['hosted']
}

/** Resolves to the options of a command that depend on the command line, such as those of a driver. */
async function moreOptionsOf(
  command: Command,
  { io, argv }: Run,
): ReturnType<NonNullable<Command['moreOptions']>> {
  if (command.moreOptions === undefined) return {}
  await using fleet = openFleet(io, inventoryIn(argv))
  return command.moreOptions(argv, fleet)
}

/** Adds a command to commander: its usage, its help, and the action that runs it. */
async function addCommand(
  parent: Program,
  root: Program,
  command: Command,
  run: Run,
  isDefault = false,
): Promise<void> {
  const program = parent
    .command(command.name, { hidden: command.hidden ?? false, isDefault })
    .aliases([...(command.aliases ?? [])])
    .summary(command.summary)
    .description(command.description ?? command.summary)
    .allowExcessArguments(false)
  for (const { usage, description } of Object.values(command.arguments ?? {})) {
    program.argument(usage, description)
  }
  const isTyped = parent === root && verbOf(run.argv) === command.name
  const more = isTyped ? await moreOptionsOf(command, run) : undefined
  const options = Object.entries({ ...command.options, ...more }).map(([key, option]) => {
    const made = programOption(option)
    program.addOption(made)
    return { key, kind: option.kind, attribute: made.attributeName() }
  })
  if (command.passesThrough === true) {
    program.allowUnknownOption().passThroughOptions().helpOption(false)
  } else {
    for (const option of commonOptionsOf(command)) program.addOption(programOption(option))
  }
  const examples = (command.examples ?? []).map((example) => `  $ ${example}\n`)
  if (examples.length > 0) program.addHelpText('after', `\nExamples:\n${examples.join('')}`)

  program.action(async (...received: unknown[]) => {
    const typed = program.opts<Record<string, unknown>>()
    const given = options.map(({ key, kind, attribute }) => [key, typed[attribute] ?? absent[kind]])
    await runCommand(command, root.opts(), run, {
      path: parent === root ? command.name : `${parent.name()} ${command.name}`,
      words: received.slice(0, Object.keys(command.arguments ?? {}).length),
      options: Object.fromEntries(given),
      common: typed,
    })
  })
}

/**
 * Resolves to a command's input and outputs for `--format`. Throws kind `usage` if another output option is set too.
 */
async function templateIo(io: Io, template: string, common: CommonValues): Promise<Io> {
  const other = (['json', 'quiet', 'fold'] as const).find((name) => common[name] === true)
  if (other !== undefined) {
    throw new UserError('usage', `--format and --${other} cannot be combined`)
  }
  const { withTemplate } = await import('../ui/template-output.ts')
  return withTemplate(io, template)
}

/** Runs a command with the arguments after its name. `before` holds the common options that precede the name. */
async function runCommand(
  command: Command,
  before: CommonValues,
  { io, argv, ran, rest, hosted }: Run,
  typed: {
    /** The name of the command, after the name of its group if it has one. */
    readonly path: string
    readonly words: readonly unknown[]
    readonly options: Readonly<Record<string, unknown>>
    readonly common: CommonValues
  },
): Promise<void> {
  ran.failureCode = command.failureCode
  const { after, words } =
    command.passesThrough === true && command.targets !== undefined
      ? takeLeadingTargets(typed.words)
      : { after: typed.common, words: typed.words }
  const common = joinCommon({ ...command, path: typed.path }, before, after)
  ran.json = common.json === true
  const template = common.format === 'table' ? undefined : common.format
  const commandIo = template === undefined ? io : await templateIo(io, template, common)
  await using fleet = openFleet(io, common.inventory, { hosted })
  const names = Object.keys(command.arguments ?? {})
  const chosen = targetsOf(common)
  const parted = rest === undefined ? words : withRest(words, rest, chosen)
  const named = withNames({ ...command, path: typed.path }, parted, chosen)
  const invocation: Invocation = {
    fleet,
    io: commandIo,
    args: Object.fromEntries(names.map((name, index) => [name, named.words[index]])),
    options: typed.options,
    targets: { ...chosen, names: named.names },
    format: {
      json: ran.json || template !== undefined,
      quiet: common.quiet === true,
      fold: common.fold === true,
      template,
    },
  }
  if (command.runsInBroker?.(invocation) !== true) hosted?.fallBack()
  const code = await audited(fleet, io, verbOf(argv) ?? command.name, () => command.run(invocation))
  ran.code = code ?? exitCodes.ok
}

/** Runs a command, and then commits its changes to the inventory if `audit: git` is set, even if the command failed. */
async function audited<Value>(
  fleet: Fleet,
  io: Io,
  verb: string,
  run: () => Promise<Value>,
): Promise<Value> {
  try {
    return await run()
  } finally {
    const reason = await fleet.audit(verb).catch(ignored('git', 'commit the inventory'))
    if (reason !== undefined)
      io.stderr.write(`the inventory was not committed (audit: git): ${reason}\n`)
  }
}

/** Name and summary of the help command. */
const helpCommand = ['help [command]', 'Show help for a command'] as const

/** Creates the commander program: with only the command `verb`, or with all commands if no command has that name. */
async function buildProgram(run: Run, verb: string | undefined): Promise<Program> {
  const isTyped = isKnown(verb)
  const { stdout } = run.io
  const write = (text: string) => stdout.write(styleHelp(run.io, text))
  const root = new Program('fleet')
    .version(run.version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: write,
      writeErr: write, // help, if no command was given
      outputError: () => {}, // runCli reports all errors
      getOutHelpWidth: () => stdout.columns ?? 100,
      getErrHelpWidth: () => stdout.columns ?? 100,
    })
  for (const name of Object.keys(commonOptions) as CommonOption[]) {
    root.addOption(programOption(commonOptions[name]))
  }
  root.helpInformation = formatOverview
  for (const { entries } of commandList) {
    for (const entry of entries) {
      if (isTyped && !hasName(entry, verb)) continue
      if (!isGroup(entry)) {
        await addCommand(root, root, entry, run)
        continue
      }
      const group = root
        .command(entry.name)
        .description(entry.summary)
        .helpCommand(...helpCommand)
        .enablePositionalOptions()
      for (const command of entry.commands) {
        await addCommand(group, root, command, run, command.name === entry.default)
      }
    }
  }
  return root.helpCommand(...helpCommand)
}

/** The text that `fleet help TOPIC` prints; undefined for all other command lines. */
function topicOf(argv: readonly string[]): string | undefined {
  const [verb, topic, ...others] = operandsIn(argv).map((index) => argv[index])
  return verb === 'help' && isTopic(topic) && others.length === 0 ? topics[topic] : undefined
}

/**
 * Checks the command name in `fleet help COMMAND` and `fleet COMMAND --help`. Throws as commander does if it is
 * unknown.
 */
function checkHelp(words: readonly string[]): void {
  const verb = verbOf(words)
  const named = verb === 'help' ? words[words.indexOf('help') + 1] : verb
  const asks = verb === 'help' || words.includes('--help') || words.includes('-h')
  if (!asks || named === undefined || named.startsWith('-') || named === 'help') return
  if (isKnown(named)) return
  throw new CommanderError(
    exitCodes.usage,
    'commander.unknownCommand',
    `unknown command '${named}'`,
  )
}

/**
 * Parses a command line and runs it. Usually defines only the command that the command line names, because defining all
 * commands takes much longer.
 */
async function parse(run: Run): Promise<void> {
  const words = [...run.argv]
  if (asksForVersion(words)) return run.io.stdout.write(`${run.version}\n`)
  const topic = topicOf(words)
  if (topic !== undefined) return run.io.stdout.write(topic)
  checkHelp(words)
  const typed = await buildProgram(run, verbOf(words))
  await typed.parseAsync(words, { from: 'user' }).catch(async (error: unknown) => {
    if (!(error instanceof CommanderError && error.code === 'commander.unknownCommand')) throw error
    const whole = await buildProgram(run, undefined)
    await whole.parseAsync(words, { from: 'user' })
  })
}

/** Returns a hint that says how to get help for a command line. */
function helpFor(argv: readonly string[]): string {
  const verb = verbOf(argv)
  if (verb === undefined || !isKnown(verb)) return 'to list the commands: fleet --help'
  const driver = findCommand(verb)?.moreOptions && driverIn(argv)
  if (driver !== undefined) return `for help: fleet ${verb} --driver ${shellQuote(driver)} --help`
  const next = argv[argv.indexOf(verb) + 1]
  const isNamed = findGroup(verb)?.commands.some(({ name }) => name === next) === true
  return `for help: fleet ${verb}${isNamed ? ` ${next}` : ''} --help`
}

/**
 * Returns the hint for an invalid command line: the equivalent of another tool's command, or else the nearest command,
 * or else how to get help.
 */
function hintFor(what: string, suggestion: string | undefined, argv: readonly string[]): string {
  const operands = operandsIn(argv).map((index) => argv[index] ?? '')
  const words = operands[0] === 'help' ? operands.slice(1) : operands
  const [, kind, word = ''] = /^unknown (command|option) '(.*)'$/.exec(what) ?? []
  const habit =
    kind === undefined ? undefined : habitOf(words, kind === 'option' ? word : undefined)
  if (habit !== undefined) return habit
  const meant =
    (kind === 'command' ? suggestCommand(words, commandList) : undefined) ??
    /did you mean (.*)\?/i.exec(suggestion ?? '')?.[1]
  return meant === undefined ? helpFor(argv) : `did you mean ${meant}?`
}

/** Converts commander's error for an invalid command line to a `UserError`. */
function usageError({ message }: CommanderError, argv: readonly string[]): UserError {
  const [what = '', suggestion] = message.replace(/^error: /, '').split('\n')
  return new UserError('usage', what, { hint: hintFor(what, suggestion, argv) })
}

/**
 * Returns the error to report. If the command was interrupted, the abort signal's reason replaces an unexpected error.
 */
const reasonFor = (thrown: unknown, signal: AbortSignal): unknown =>
  signal.aborted && !(thrown instanceof UserError) ? signal.reason : thrown

/** Reduces a command line to its verbs and option names, for the trace: values may be secrets. */
function outline(argv: readonly string[]): string {
  const words = argv.map((word) => {
    if (/^-[^-]./.test(word)) return `${word.slice(0, 2)}…` // the value may follow without a space
    if (word.startsWith('-')) return word.replace(/=.*/s, '=…')
    return isKnown(word) ? word : '…'
  })
  return ['fleet', ...words].join(' ')
}

/** Does the work of a command, traced if `FLEET_DEBUG` is set. In the broker, tracing has already been started. */
async function traced<Value>(io: Io, work: () => Promise<Value>): Promise<Value> {
  const topics = readTopics(io.env)
  if (topics.length === 0 || isTraced()) return work()
  const { findSecrets } = await import('../machine/secrets/find-secrets.ts')
  const tracer = {
    ...{ id: io.program?.traceId ?? newTraceId(), topics },
    write: traceOutput(io.env, io.cwd, (text) => io.stderr.write(text)),
    redact: createRedactor(findSecrets, io.env),
  }
  return runTraced(tracer, work)
}

/**
 * Runs one command line (without `node` and the name of the program). All output is written to `io`. Resolves to the
 * exit code. Never throws.
 */
export async function runCli(
  argv: readonly string[],
  {
    io: process,
    version,
    hosted,
  }: { io: ProcessIo; version: string } & Pick<FleetOptions, 'hosted'>,
): Promise<number> {
  const io = openIo(process)
  const typed = splitRest(argv)
  const json = typed.argv.includes('--json')
  const ran: RunResult = { code: exitCodes.ok, json, failureCode: undefined }
  try {
    await traced(io, async () => {
      const began = performance.now()
      trace('command', () => `${outline(typed.argv)} (fleet ${version}, Node.js ${nodeVersion})`)
      const ended = () => `${(performance.now() - began).toFixed(0)} ms`
      try {
        await parse({ io, version, ran, hosted, ...typed })
        trace('command', () => `exit code ${ran.code} after ${ended()}`)
      } catch (error) {
        if (!(error instanceof CommanderError && error.exitCode === 0))
          traceError('command', 'complete the command', error)
        throw error
      }
    })
    return ran.code
  } catch (thrown) {
    const isUsage = thrown instanceof CommanderError
    if (isUsage && (thrown.exitCode === 0 || thrown.code === 'commander.help')) return exitCodes.ok
    const error = isUsage ? usageError(thrown, typed.argv) : reasonFor(thrown, io.signal)
    writeFailure(io, error, ran.json)
    return failureCodeOf(error, ran.failureCode)
  }
}
