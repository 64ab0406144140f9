import { Command as Program, CommanderError, Option as ProgramOption } from 'commander'
import type { Command, CommandGroup, Format, Option, Targets } from './commands/definition.ts'
import { commandList } from './commands/index.ts'
import { UserError, exitCodes } from './errors.ts'
import { openFleet } from './fleet.ts'
import { failureCodeOf, writeFailure } from './ui/failure.ts'
import type { Io } from './ui/io.ts'
import { version } from './version.ts'

const collect = (text: string, before: readonly string[] = []): string[] => [...before, text]

const inventoryOption = new ProgramOption('--inventory <file>', 'the machines.yaml to use')
const machineOption = new ProgramOption('-m, --machine <name>', 'the machine to use')
const onOption = new ProgramOption(
  '--on <selector>',
  'the machines to use: web-*, role=web, driver=ssh, all (repeatable)',
).argParser(collect)
const allOption = new ProgramOption('--all', 'all machines: short for --on all')
const jsonOption = new ProgramOption('--json', 'answer in JSON')
const quietOption = new ProgramOption('-q, --quiet', 'names only')

/** The options that mean the same for every command that takes them. */
interface CommonOptions {
  readonly inventory?: string
  readonly machine?: string
  readonly on?: string[]
  readonly all?: true
  readonly json?: true
  readonly quiet?: true
}

/** Which of the common options `command` takes. */
function commonOptionsOf(command: Command): ProgramOption[] {
  return [
    inventoryOption,
    ...(command.targets === undefined ? [] : [machineOption]),
    ...(command.targets === 'many' ? [onOption, allOption] : []),
    ...(command.answers === undefined ? [] : [jsonOption]),
    ...(command.answers === 'names' ? [quietOption] : []),
  ]
}

/** Joins what stood before the verb with what stood after it, and refuses what the verb does not take. */
function commonOptions(command: Command, program: Program, own: CommonOptions): CommonOptions {
  const before = program.opts<CommonOptions>()
  const taken = new Set(commonOptionsOf(command).map((option) => option.attributeName()))
  for (const key of Object.keys(before)) {
    if (!taken.has(key)) {
      throw new UserError('usage', `fleet ${command.name} does not take --${key}`, {
        hint: `fleet ${command.name} --help`,
      })
    }
  }
  return { ...before, ...own, on: [...(before.on ?? []), ...(own.on ?? [])] }
}

function targetsOf(options: CommonOptions): Targets {
  const on = [...(options.on ?? []), ...(options.all ? ['all'] : [])]
  if (on.length > 0 && options.machine !== undefined) {
    throw new UserError('usage', '--machine names one machine and --on or --all many: use one')
  }
  return { machine: options.machine, on }
}

/**
 * Takes `--on` and `--machine` out of the front of the words meant for docker, which has
 * no flags of these names: people write them after the verb by habit.
 */
function takeLeadingTargets(words: readonly string[]): { own: CommonOptions; rest: string[] } {
  const rest = [...words]
  const on: string[] = []
  let machine: string | undefined
  for (;;) {
    const match = /^--(on|machine)(?:=(.*))?$/s.exec(rest[0] ?? '')
    if (match === null) break
    const value = match[2] ?? rest[1]
    if (value === undefined) throw new UserError('usage', `${rest[0]} wants a value`)
    rest.splice(0, match[2] === undefined ? 2 : 1)
    if (match[1] === 'on') on.push(value)
    else machine = value
  }
  return { own: { on, ...(machine === undefined ? {} : { machine }) }, rest }
}

function addOption(program: Program, key: string, option: Option<unknown>): string {
  const added = new ProgramOption(option.flags, option.description)
  const parse = option.parse
  if (option.many) added.argParser(collect)
  else if (parse !== undefined) added.argParser((text) => parse(text))
  if (added.negate || added.attributeName() === key) program.addOption(added)
  else program.addOption(added)
  return added.attributeName()
}

/** What the end of `runCli` needs to know of the command that ran. */
interface Ran {
  code: number
  json: boolean
  failureCode: number | undefined
}

/** Makes commander's form of a command. Its action runs the command and notes the outcome in `ran`. */
async function addCommand(
  parent: Program,
  root: Program,
  command: Command,
  io: Io,
  argv: readonly string[],
  ran: Ran,
): Promise<void> {
  const program = parent.command(command.name).summary(command.summary)
  program.description(command.description ?? command.summary)
  program.allowExcessArguments(false)
  if (command.aliases !== undefined) program.aliases([...command.aliases])
  for (const argument of Object.values(command.arguments ?? {})) {
    program.argument(argument.usage, argument.description)
  }
  const definitions = {
    ...command.options,
    ...(argv.includes(command.name) ? await command.moreOptions?.(argv) : undefined),
  }
  const attributes = Object.entries(definitions).map(
    ([key, option]) => [key, option, addOption(program, key, option)] as const,
  )
  if (command.passesThrough === true) {
    program.allowUnknownOption().passThroughOptions().helpOption(false)
  } else {
    for (const option of commonOptionsOf(command)) program.addOption(option)
  }
  for (const example of command.examples ?? []) program.addHelpText('after', `\n  $ ${example}`)

  program.action(async (...received: unknown[]) => {
    ran.failureCode = command.failureCode
    const words = received.slice(0, Object.keys(command.arguments ?? {}).length)
    const leading =
      command.passesThrough === true ? takeLeadingTargets(words[0] as string[]) : undefined
    if (leading !== undefined) words[0] = leading.rest
    const common = commonOptions(command, root, leading?.own ?? program.opts<CommonOptions>())
    const format: Format = { json: common.json ?? false, quiet: common.quiet ?? false }
    ran.json = format.json
    const typed = program.opts<Record<string, unknown>>()
    await using fleet = openFleet(io, common.inventory)
    const code = await command.run({
      fleet,
      io,
      args: Object.fromEntries(
        Object.keys(command.arguments ?? {}).map((key, index) => [key, words[index]]),
      ),
      options: Object.fromEntries(
        attributes.map(([key, option, attribute]) => [
          key,
          typed[attribute] ?? (option.many ? [] : undefined),
        ]),
      ),
      targets: targetsOf(common),
      format,
    } as never)
    ran.code = code ?? exitCodes.ok
  })
}

const isGroup = (entry: Command | CommandGroup): entry is CommandGroup => 'commands' in entry

/** Every command as commander knows it. */
async function buildProgram(io: Io, argv: readonly string[], ran: Ran): Promise<Program> {
  const root = new Program('fleet')
    .description('Docker hosts in one file: create, adopt, switch, and run containers on them')
    .version(version, '-V, --version', 'the version of fleet')
    .helpOption('-h, --help', 'help for a command')
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: () => {},
      getOutHelpWidth: () => io.stdout.columns ?? 100,
    })
  for (const option of [
    inventoryOption,
    machineOption,
    onOption,
    allOption,
    jsonOption,
    quietOption,
  ]) {
    root.addOption(option)
  }
  for (const { title, entries } of commandList) {
    root.commandsGroup(`${title}:`)
    for (const entry of entries) {
      if (!isGroup(entry)) {
        await addCommand(root, root, entry, io, argv, ran)
        continue
      }
      const group = root.command(entry.name).description(entry.summary).enablePositionalOptions()
      for (const command of entry.commands) {
        await addCommand(group, root, command, io, argv, ran)
      }
    }
  }
  return root
}

/** A usage error as fleet tells it, from commander's. */
function usageError(error: CommanderError): UserError {
  return new UserError('usage', error.message.replace(/^error: /, ''), { hint: 'fleet --help' })
}

/**
 * Runs one command line (without `node` and the program's name). Everything it says goes
 * to `io`; the exit code is the result. Never throws.
 */
export async function runCli(argv: readonly string[], io: Io): Promise<number> {
  const ran: Ran = { code: exitCodes.ok, json: argv.includes('--json'), failureCode: undefined }
  try {
    const program = await buildProgram(io, argv, ran)
    await program.parseAsync([...argv], { from: 'user' })
    return ran.code
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return exitCodes.ok
    const error = thrown instanceof CommanderError ? usageError(thrown) : thrown
    writeFailure(io, error, ran.json)
    return failureCodeOf(error, ran.failureCode)
  }
}
