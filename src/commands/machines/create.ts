import type { OptionFlag } from '../../drivers/option-flags.ts'
import type { Fleet } from '../../fleet.ts'
import { parseLabels } from '../../machine/labels.ts'
import { parseMachineName } from '../../machine/name.ts'
import { withProgress } from '../../ui/progress.ts'
import { type Option, defineCommand, flag, parsed, optional, text, texts } from '../definition.ts'
import { yesOption } from './confirmation.ts'
import { hostKeyOptions, trustFrom } from './host-key-options.ts'
import { approvePlan } from './approve-plan.ts'
import { askCreation } from './ask-creation.ts'
import { reportMachine } from './report-machine.ts'

/** The driver that a command line names, before it is parsed. */
function driverIn(argv: readonly string[]): string | undefined {
  const index = argv.findIndex((word) => word === '--driver' || word === '-d')
  const joined = argv.find((word) => word.startsWith('--driver='))
  return index >= 0 ? argv[index + 1] : joined?.slice('--driver='.length)
}

const driverOption = (names: string): Option<string | undefined> =>
  text('-d, --driver <driver>', `how the host comes to be${names}`, 'driver')

function driverFlag({ name, type, description, choices, required }: OptionFlag): Option<unknown> {
  const about = [
    description,
    ...(choices === undefined ? [] : [`One of ${choices.join(', ')}.`]),
    ...(required ? ['Needed.'] : []),
  ].join(' ')
  return type === 'boolean' ? flag(`--${name}`, about) : text(`--${name} <${type}>`, about)
}

/** What the options are once drivers are known: their names, and the flags of the one that `argv` names. */
async function driverOptions(
  argv: readonly string[],
  fleet: Fleet,
): Promise<Record<string, Option<unknown>>> {
  const { drivers } = await import('../../drivers/index.ts')
  const { optionFlags } = await import('../../drivers/option-flags.ts')
  const names = drivers.map(({ name }) => name).join(', ')
  const driver = driverIn(argv)
  const flags = driver === undefined ? [] : optionFlags(await fleet.driver(driver))
  return {
    driver: driverOption(`: ${names}`),
    ...Object.fromEntries(flags.map((flag) => [flag.name, driverFlag(flag)])),
  }
}

export const create = defineCommand({
  name: 'create',
  summary: 'Create a machine',
  description:
    'Create a machine. Each driver has options of its own: fleet create --driver DRIVER --help shows them. A machine that you wrote into machines.yaml by hand needs its name only.',
  arguments: { name: optional('name', 'what to call it; asked for on a terminal', 'machine') },
  options: {
    driver: driverOption(''),
    label: texts('-l, --label <key=value>', 'a label (repeatable)'),
    identity: text('-i, --identity <file>', 'the private key to log in with', 'file'),
    via: parsed('--via <machine>', 'the machine to jump through', parseMachineName),
    installEngine: flag('--install-engine', 'install or repair Docker where it does not answer'),
    noEngine: flag('--engine-none', 'it is not meant to have Docker, as a jump host'),
    ...hostKeyOptions,
    yes: yesOption,
  },
  moreOptions: driverOptions,
  answers: 'json',
  examples: [
    'fleet create laptop --driver local --install-engine',
    'fleet create web-1 --driver ssh --address 203.0.113.7 --user ana',
  ],
  async run({ fleet, io, args, options, format }) {
    const { createMachine } = await import('../../operations/create-machine.ts')
    const { readOptionFlags } = await import('../../drivers/option-flags.ts')
    const { namedIdentityFiles } = await import('../../operations/identity-file.ts')
    const { name, driver, flags } = await askCreation(io, fleet, {
      name: args.name,
      driver: options.driver,
      flags: options,
    })
    const identityFiles = await namedIdentityFiles(options.identity)
    const created = await withProgress(io, format, name, (progress) =>
      createMachine(
        fleet,
        {
          name,
          driver: driver?.name,
          options: driver === undefined ? {} : readOptionFlags(driver, flags as never),
          labels: parseLabels(options.label),
          via: options.via,
          engine: options.noEngine ? 'none' : undefined,
          identityFiles,
          installEngine: options.installEngine,
          trust: trustFrom(io, options),
        },
        {
          progress,
          approve: (plan) => approvePlan(io, { name, plan, yes: options.yes }),
        },
      ),
    )
    await reportMachine({ fleet, io, format }, created)
  },
})
