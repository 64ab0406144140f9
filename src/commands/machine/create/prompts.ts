import { isBuiltIn } from '../../../drivers/driver-names.ts'
import type { DriverDefinition } from '../../../drivers/driver.ts'
import type { OptionFlag } from '../../../drivers/options/option-flags.ts'
import { UserError } from '../../../errors.ts'
import type { Fleet } from '../../../app/fleet.ts'
import {
  type MachineName,
  isMachineName,
  machineNameRule,
  parseMachineName,
} from '../../../machine/name.ts'
import type { Inventory } from '../../../state/inventory/inventory.ts'
import { counted } from '../../../ui/human-units.ts'
import type { Io } from '../../../ui/io.ts'
import { askText, canPrompt, choose, confirm } from '../../../ui/prompt.ts'
import { requireConsent } from '../../options/confirmation.ts'
import { creationOptions, optionWords } from './options.ts'

/** The command line of `fleet create`. Its options are keyed by property, and driver options by flag name. */
interface Typed {
  readonly names: readonly string[]
  readonly driver: string | undefined
  readonly options: Readonly<Record<string, unknown>>
}

/** The machines to create. If there is no driver, their entries in the inventory specify it. */
interface Creation {
  readonly names: readonly MachineName[]
  readonly driver: DriverDefinition | undefined
  readonly options: Readonly<Record<string, unknown>>
}

/** The choice that leaves an option unset. */
const unset = ''

/**
 * Asks for a driver option. Resolves to undefined if the option stays unset or the answer is the default. `preset` is
 * the default that the inventory sets for the driver.
 */
async function askOption(
  io: Io,
  driver: DriverDefinition,
  flag: OptionFlag,
  preset: unknown,
): Promise<string | true | undefined> {
  const { validationError } = await import('../../../drivers/options/option-flags.ts')
  const { name, description, type, choices } = flag
  const held = preset ?? flag.default
  const fallback = held === undefined ? undefined : `${held as string | number | boolean}`
  const isNeeded = flag.required && fallback === undefined
  // The question shows the option's meaning, not its name: the name is part of the command that is printed at the end.
  const question = description === '' ? name : description.replace(/\.$/, '')
  const statesDefault = question.includes('(default: ')
  if (type === 'boolean') {
    return held === true || !(await confirm(io, question)) ? undefined : true
  }
  const answer =
    choices === undefined
      ? await askText(
          io,
          isNeeded || fallback !== undefined || statesDefault
            ? question
            : `${question} (press Enter for the default)`,
          {
            fallback,
            takesTypeAhead: true,
            check(text) {
              if (text === '') return isNeeded ? 'a value is required' : undefined
              return text === fallback ? undefined : validationError(driver, flag, text)
            },
          },
        )
      : await choose(
          io,
          question,
          [
            ...(isNeeded || fallback !== undefined ? [] : [{ value: unset, name: '(automatic)' }]),
            ...choices.map((value) => ({ value })),
          ],
          { fallback, takesTypeAhead: true },
        )
  return answer === unset || answer === fallback ? undefined : answer
}

/** Asks for the driver: a built-in one, or another driver that the inventory uses. */
async function askDriver(io: Io, { machines, defaults }: Inventory): Promise<string> {
  const { drivers } = await import('../../../drivers/index.ts')
  const used = [...[...machines.values()].map(({ driver }) => driver), ...Object.keys(defaults)]
  const others = [...new Set(used)].filter((name) => !isBuiltIn(name))
  const choices = [
    ...drivers.map(({ name, summary }) => ({ value: name, description: summary })),
    ...others.map((name) => ({
      value: name,
      description: `from the fleet-driver-${name} package`,
    })),
  ]
  return choose(io, 'Driver:', choices, { takesTypeAhead: true })
}

/**
 * Returns why a name cannot be used for a new machine; undefined if it can. A machine that has an entry but no host can
 * still be created.
 */
function nameError(text: string, { machines }: Inventory): string | undefined {
  if (!isMachineName(text)) return `use ${machineNameRule}`
  return machines.get(text)?.host === undefined
    ? undefined
    : `a machine named ${text} already exists`
}

const askName = async (io: Io, inventory: Inventory): Promise<MachineName> =>
  parseMachineName(
    await askText(io, 'Machine name:', {
      check: (text) => nameError(text, inventory),
      takesTypeAhead: true,
    }),
  )

/**
 * Resolves to the options to ask for: required options that are not set, and, in guided mode, those that the driver
 * lists in `prompts`.
 */
async function flagsToAsk(
  driver: DriverDefinition,
  {
    options,
    isGuided,
    defaults,
  }: Pick<Typed, 'options'> & {
    isGuided: boolean
    defaults: Readonly<Record<string, unknown>>
  },
): Promise<OptionFlag[]> {
  const { optionFlags } = await import('../../../drivers/options/option-flags.ts')
  const open = optionFlags(driver).filter(({ name }) => options[name] === undefined)
  const isMissing = ({ key, required }: OptionFlag) => required && defaults[key] === undefined
  const asked = (isGuided ? (driver.prompts ?? []) : []).flatMap(
    (key) => open.find((flag) => flag.key === key) ?? [],
  )
  return [...new Set([...open.filter(isMissing), ...asked])]
}

function needsDriver(names: readonly MachineName[], { profiles }: Inventory): UserError {
  const numbered = names.find((name) => profiles.get(name)?.count !== undefined)
  return numbered === undefined
    ? new UserError('usage', `no driver specified for ${names.join(', ')}`, {
        hint: `to specify a driver: fleet create ${names.join(' ')} --driver DRIVER, or --extends PROFILE`,
      })
    : new UserError('usage', `${numbered} is a profile with numbered machines`, {
        hint: `to create one machine: fleet create ${numbered}-1; to create all of them: fleet apply`,
      })
}

/**
 * Completes the command line by asking on a terminal for the driver, the name, and the options that the driver requires
 * or lists in `prompts`. Prints the complete command line for later use.
 */
export async function askCreation(io: Io, fleet: Fleet, typed: Typed): Promise<Creation> {
  const isInteractive = canPrompt(io)
  if (typed.names.length === 0 && !isInteractive) {
    throw new UserError('usage', 'no machine name specified', {
      hint: 'to specify a name: fleet create NAME',
    })
  }
  const given = typed.names.map(parseMachineName)
  const inventory = await (await fleet.inventory()).read()
  const isWritten =
    given.length > 0 &&
    (typed.options['extends'] !== undefined || given.every((name) => inventory.machines.has(name)))
  const asksDriver = typed.driver === undefined && !isWritten && isInteractive
  if (typed.driver === undefined && !isWritten && !isInteractive)
    throw needsDriver(given, inventory)
  const driverName = asksDriver ? await askDriver(io, inventory) : typed.driver
  const driver = driverName === undefined ? undefined : await fleet.driver(driverName)
  const names = given.length > 0 ? given : [await askName(io, inventory)]
  if (driver === undefined || isWritten || !isInteractive) return { ...typed, names, driver }

  const defaults = inventory.defaults[driver.name] ?? {}
  const isGuided = asksDriver || given.length === 0
  const asked = await flagsToAsk(driver, { options: typed.options, isGuided, defaults })
  const answers: Record<string, string | true> = {}
  for (const flag of asked) {
    const answer = await askOption(io, driver, flag, defaults[flag.key])
    if (answer !== undefined) answers[flag.name] = answer
  }
  const options = { ...typed.options, ...answers }
  if (!isGuided && asked.length === 0) return { names, driver, options }
  await printCommand(io, { names, driver, options })
  await confirmCreation({ io, fleet }, { names, driver, options }, defaults)
  return { names, driver, options }
}

/** The options that determine the kind of host and its cost. Different drivers use different names. */
const describingOption = /^(?:region|location|zone|type|size|cpus|memory|disk|image)$/

/** Shows what will be created, and asks for confirmation. Existing hosts do not require confirmation. */
async function confirmCreation(
  { io, fleet }: { readonly io: Io; readonly fleet: Fleet },
  { names, driver, options }: Creation & { readonly driver: DriverDefinition },
  defaults: Readonly<Record<string, unknown>>,
): Promise<void> {
  if (options['yes'] === true) return
  if ((await fleet.loadDriver(driver.name)).lifecycle === undefined) return
  const { checkOptions, optionFlags, readOptionFlags } =
    await import('../../../drivers/options/option-flags.ts')
  const chosen = checkOptions(driver, readOptionFlags(driver, options as never), defaults)
  const shown = optionFlags(driver)
    .filter(({ key, name }) => describingOption.test(key) || options[name] !== undefined)
    .map(({ key, name }) => {
      const value = chosen[key] as string | number | boolean | undefined
      return `  ${name}: ${value ?? 'automatic'}\n`
    })
  const count =
    typeof options['count'] === 'number' ? ` (${counted(options['count'], 'machine')})` : ''
  const cost =
    driver.isFree === true
      ? ''
      : `Hosts on ${driver.name} cost money until you remove them with fleet rm.\n`
  await requireConsent(
    io,
    false,
    names.length === 1 && count === '' ? 'Create this machine?' : 'Create these machines?',
    `New: ${names.join(', ')}${count}\n  driver: ${driver.name}\n${shown.join('')}${cost}`,
  )
}

/** Prints the command line that is equivalent to the answers. */
async function printCommand(
  io: Io,
  { names, driver, options }: Creation & { driver: DriverDefinition },
): Promise<void> {
  const { optionFlags } = await import('../../../drivers/options/option-flags.ts')
  const { shellLine } = await import('../../../transport/command.ts')
  const flags = Object.fromEntries(
    optionFlags(driver).map(({ name }) => [name, { flags: `--${name}` }]),
  )
  const words = [
    ...['fleet', 'create', ...names, '--driver', driver.name],
    ...optionWords(flags, options),
    ...optionWords(creationOptions, { ...options, driver: undefined }),
  ]
  io.stderr.write(`To run this without prompts: ${shellLine(words)}\n`)
}
