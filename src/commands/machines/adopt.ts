import { parseLabels } from '../../machine/labels.ts'
import { parseMachineName } from '../../machine/name.ts'
import { withProgress } from '../../ui/progress.ts'
import { defineCommand, flag, parsed, required, text, texts } from '../definition.ts'
import { confirmJumpOn } from './confirmation.ts'
import { driverOptions } from './creation-options.ts'
import { hostKeyOptions, trustFrom } from './host-key-options.ts'
import { reportMachines } from './report-machine.ts'

const options = {
  name: parsed('--name <name>', 'what to call it; its host name if not said', parseMachineName),
  driver: text(
    '-d, --driver <driver>',
    'the driver of its provider, for a host named by its id',
    'driver',
  ),
  label: texts('-l, --label <key=value>', 'a label (repeatable)'),
  identity: text('-i, --identity <file>', 'the private key to log in with', 'file'),
  via: parsed('--via <machine>', 'the machine to jump through', parseMachineName),
  noEngine: flag('--engine-none', 'it is not meant to have Docker, as a jump host'),
  ...hostKeyOptions,
} as const

export const adopt = defineCommand({
  name: 'adopt',
  summary: 'Take in a host that exists, over SSH',
  description:
    'Take in a host that exists. The host is read over SSH and nothing on it changes. ~/.ssh/config is followed: aliases, user, port, keys and jump hosts. With --driver aws an instance is named by its id, then asked about and switched like those that fleet makes; fleet never removes it.',
  arguments: {
    destination: required(
      'destination',
      '[user@]host[:port], an alias of ~/.ssh/config, or with --driver the id of a host',
    ),
  },
  options,
  async moreOptions(argv, fleet) {
    const more = Object.entries(await driverOptions(argv, fleet))
    return Object.fromEntries(more.filter(([key]) => !Object.hasOwn(options, key)))
  },
  answers: 'json',
  examples: [
    'fleet adopt ana@203.0.113.7 --name web-1 -l role=web',
    'fleet adopt bastion --engine-none',
    'fleet adopt --driver aws i-0a1b2c3d4e5f60718 --name web-1 --region eu-west-1 --user admin',
  ],
  async run({ fleet, io, args, options, format }) {
    const { adoptMachine } = await import('../../operations/adopt-machine.ts')
    const { namedIdentityFiles } = await import('../../operations/identity-file.ts')
    const { destination } = args
    const identityFiles = await namedIdentityFiles(options.identity)
    const { driver } = options
    const shared = {
      labels: parseLabels(options.label),
      identityFiles,
      via: options.via,
      engine: options.noEngine ? ('none' as const) : undefined,
      trust: trustFrom(io, options),
    }
    const created = await withProgress(
      io,
      format,
      options.name ?? destination,
      async (progress) => {
        if (driver !== undefined && driver !== 'ssh') {
          const { adoptKnownHost } = await import('../../operations/adopt-known-host.ts')
          const { readOptionFlags } = await import('../../drivers/option-flags.ts')
          const given = readOptionFlags(await fleet.driver(driver), options as never)
          const name = options.name ?? parseMachineName(destination)
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
            name: options.name,
            ...shared,
          },
          { progress, confirmJump: confirmJumpOn(io) },
        )
      },
    )
    await reportMachines({ fleet, io, format }, [created], { many: false })
  },
})
