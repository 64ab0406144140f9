import type { DriverDefinition } from '../../../drivers/driver.ts'
import type { OptionFlag } from '../../../drivers/options/option-flags.ts'
import { UserError } from '../../../errors.ts'
import type { MachineName } from '../../../machine/name.ts'
import type { Fleet } from '../../../app/fleet.ts'
import { parseMachineName } from '../../../machine/name.ts'
import { type Option, flag, parsed, text, texts } from '../../command.ts'
import { driverHabit } from '../../habit-hints.ts'
import { engineOptions } from './engine-options.ts'
import { parseCount } from '../../options/numbers.ts'
import { allowPathOption } from '../../inventory/confirm-grants.ts'
import { driverIn } from '../../options/common-options.ts'
import { yesOption } from '../../options/confirmation.ts'
import { hostKeyOptions } from '../../options/host-key-options.ts'
import { shellQuote } from '../../../os/shell-quote.ts'
import { ignored } from '../../../os/trace.ts'

const driverOption = (names: string): Option<string | undefined> =>
  text('-d, --driver <driver>', `driver that provides the host${names}`, 'driver')

/** The options of `fleet create` that do not depend on the driver. */
export const creationOptions = {
  driver: driverOption(''),
  extends: text('--extends <profile>', 'profile to inherit other settings from', 'profile'),
  count: parsed(
    '--count <count>',
    'number of machines to create, named NAME-1, NAME-2 and so on',
    (count) => parseCount(count, 1),
  ),
  label: texts('-l, --label <key=value>', 'label to set (repeatable)', 'label'),
  protected: flag('--protected', 'require typing the machine name to confirm removal'),
  ...engineOptions,
  userData: text('--user-data <file>', 'file with cloud-init user data for a new host', 'file'),
  identity: text('-i, --identity <file>', 'private key for logging in to an existing host', 'file'),
  via: parsed('--via <machine>', 'machine to use as the jump host', parseMachineName, 'machine'),
  installEngine: flag('--install-engine', 'install or repair Docker on an existing host'),
  ...hostKeyOptions,
  allowPath: allowPathOption,
  rollback: flag('--rollback', 'remove the host if creating it fails or is interrupted'),
  yes: yesOption,
} as const

/**
 * The keys of {@link creationOptions} that apply only to new hosts (`made`), and those that apply only to existing
 * hosts.
 */
const fitting = {
  made: ['engineVersion', 'engineChannel', 'engineRepository', 'userData', 'rollback'],
  existing: ['identity', 'installEngine', 'hostKey', 'acceptNew'],
} as const

/** Refuses options that do not apply to the hosts that the driver provides. Throws kind `usage`. */
export function checkFitting(
  options: Readonly<Record<string, unknown>>,
  { driver, makesHosts }: { driver: string; makesHosts: boolean },
): void {
  const inapplicable = fitting[makesHosts ? 'existing' : 'made'].find(
    (key) => options[key] !== undefined && options[key] !== false,
  )
  if (inapplicable === undefined) return
  const name = /--[\w-]+/.exec(creationOptions[inapplicable].flags)?.[0]
  const why = makesHosts
    ? `is for existing hosts, but the ${driver} driver creates new ones`
    : `is for new hosts, but the ${driver} driver uses existing ones`
  throw new UserError('usage', `${name} ${why}`, {
    hint: `to list the driver's options: fleet create --driver ${shellQuote(driver)} --help`,
  })
}

/** Resolves to the driver of the machine that is named directly after `create`, if that machine has an entry. */
async function driverOfEntry(argv: readonly string[], fleet: Fleet): Promise<string | undefined> {
  const name = argv[argv.indexOf('create') + 1]
  if (name === undefined || name.startsWith('-') || argv.every((word) => !word.startsWith('--'))) {
    return undefined
  }
  // The command itself reports an unreadable inventory; its help does not require an inventory.
  const inventory = await fleet
    .inventory()
    .then((store) => store.read())
    .catch(ignored('inventory', 'read the inventory to complete the help text'))
  return inventory?.machines.get(name as MachineName)?.driver
}

/**
 * Returns the placeholder for a flag's value in help: the last word of the flag's name. Returns undefined for a flag
 * without a value.
 */
function placeholderOf({ name, type, default: fallback }: OptionFlag): string | undefined {
  if (type === 'boolean') return fallback === true ? '<true|false>' : undefined
  return `<${name.split('-').at(-1)}>`
}

/** Defines the command-line flag for a driver option. */
function driverFlag(driver: string, option: OptionFlag, about: string): Option<unknown> {
  const placeholder = placeholderOf(option)
  const { name } = option
  const made =
    placeholder === undefined ? flag(`--${name}`, about) : text(`--${name} ${placeholder}`, about)
  return { ...made, heading: `Options for the ${driver} driver` }
}

/**
 * Resolves to the driver called `name`. For a Docker Machine driver that does not exist in fleet, the error's hint says
 * what to use instead.
 */
async function findDriver(fleet: Fleet, name: string): Promise<DriverDefinition> {
  try {
    return await fleet.driver(name)
  } catch (error) {
    const hint = driverHabit(name)
    if (!(error instanceof UserError) || error.kind !== 'usage' || hint === undefined) throw error
    throw new UserError('usage', error.message, { hint, cause: error })
  }
}

/**
 * Resolves to the options that depend on the driver: `--driver`, whose description lists all drivers, and the options
 * of the driver that `argv` names, for a new host or an existing one.
 */
export async function driverOptions(
  argv: readonly string[],
  fleet: Fleet,
  { isNew = true }: { readonly isNew?: boolean } = {},
): Promise<Record<string, Option<unknown>>> {
  const { drivers } = await import('../../../drivers/index.ts')
  const { describeFlag, optionFlags } = await import('../../../drivers/options/option-flags.ts')
  const names = drivers.map(({ name }) => name).join(', ')
  const driver = driverIn(argv) ?? (isNew ? await driverOfEntry(argv, fleet) : undefined)
  const flags = driver === undefined ? [] : optionFlags(await findDriver(fleet, driver))
  return {
    driver: driverOption(`: ${names}`),
    ...Object.fromEntries(
      flags.map((option) => [
        option.name,
        driverFlag(driver ?? '', option, describeFlag(option, { isNew })),
      ]),
    ),
  }
}

/** Returns the command-line words that set options to these values. */
export function optionWords(
  options: Readonly<Record<string, Pick<Option<unknown>, 'flags'>>>,
  values: Readonly<Record<string, unknown>>,
): string[] {
  return Object.entries(options).flatMap(([key, { flags }]) => {
    const name = /--[\w-]+/.exec(flags)?.[0] ?? ''
    const value = values[key]
    const usual = name.startsWith('--no-') // such a flag sets its value to false
    if (value === undefined || value === usual) return []
    if (typeof value === 'boolean') return [name]
    return [value].flat().flatMap((one) => [name, `${one as string | number}`])
  })
}
