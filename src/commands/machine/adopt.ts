import { parseLabels } from '../../machine/labels.ts'
import { parseMachineName } from '../../machine/name.ts'
import { withProgress } from '../../ui/progress/progress.ts'
import { defineCommand, flag, parsed, required, text, texts } from '../command.ts'
import { confirmJumpOn } from '../options/confirmation.ts'
import { driverOptions } from './create/options.ts'
import { hostKeyOptions, trustFrom } from '../options/host-key-options.ts'
import { reportMachines } from './report-machine.ts'

const options = {
  name: parsed('--name <name>', 'name of the machine (default: its host name)', parseMachineName),
  driver: text(
    '-d, --driver <driver>',
    'driver to use if you specify the host by its provider ID or name',
    'driver',
  ),
  label: texts('-l, --label <key=value>', 'label to set (repeatable)', 'label'),
  identity: text('-i, --identity <file>', 'private key for logging in', 'file'),
  via: parsed('--via <machine>', 'machine to use as the jump host', parseMachineName, 'machine'),
  engine: flag('--no-engine', 'add a host that does not run Docker (for example, a jump host)'),
  ...hostKeyOptions,
} as const

export const adopt = defineCommand({
  name: 'adopt',
  summary: 'Add an existing host over SSH',
  description:
    'Add an existing host to the inventory. fleet connects to it over SSH but changes nothing on it. Aliases, users, ports, keys and jump hosts from ~/.ssh/config are used. With --driver aws, azure or virtualbox, specify the host by its provider ID or name; fleet can then query, start and stop it through the provider, but never removes it.',
  arguments: {
    destination: required(
      'destination',
      '[user@]host[:port], an alias from ~/.ssh/config, or an ID or name with --driver',
    ),
  },
  options,
  async moreOptions(argv, fleet) {
    const more = Object.entries(await driverOptions(argv, fleet, { isNew: false }))
    return Object.fromEntries(more.filter(([key]) => !Object.hasOwn(options, key)))
  },
  answers: 'json',
  examples: [
    'fleet adopt ana@203.0.113.7 --name web-1 -l role=web',
    'fleet adopt bastion --no-engine',
    'fleet adopt --driver aws i-0a1b2c3d4e5f60718 --name web-1 --region eu-west-1 --user admin',
    'fleet adopt --driver azure my-group/web-2',
    'fleet adopt --driver virtualbox "dev box" --name dev --user ana',
  ],
  async run({ fleet, io, args, options: typed, format }) {
    const { adoptMachine } = await import('../../operations/adopt/adopt-machine.ts')
    const { namedIdentityFiles } = await import('../../operations/adopt/try-logins.ts')
    const { destination } = args
    const identityFiles = await namedIdentityFiles(typed.identity)
    const { driver } = typed
    const shared = {
      labels: parseLabels(typed.label),
      identityFiles,
      via: typed.via,
      engine: typed.engine ? undefined : ('none' as const),
      trust: trustFrom(io, typed),
    }
    const created = await withProgress(io, format, typed.name ?? destination, async (progress) => {
      if (driver !== undefined && driver !== 'ssh') {
        const { adoptKnownHost } = await import('../../operations/adopt/adopt-known-host.ts')
        const { readOptionFlags } = await import('../../drivers/options/option-flags.ts')
        const flags = Object.entries(typed).filter(([key]) => !Object.hasOwn(options, key))
        const given = readOptionFlags(
          await fleet.driver(driver),
          Object.fromEntries(flags) as never,
        )
        const name = typed.name ?? parseMachineName(destination.replace(/^.*\//, ''))
        return adoptKnownHost(
          fleet,
          { ...shared, name, driver, id: destination, options: given },
          progress,
        )
      }
      return adoptMachine(
        fleet,
        {
          destination,
          name: typed.name,
          ...shared,
        },
        { progress, confirmJump: confirmJumpOn(io) },
      )
    })
    await reportMachines({ fleet, io, format }, [created], { many: false })
  },
})
