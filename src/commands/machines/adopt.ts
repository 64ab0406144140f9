import { parseLabels } from '../../machine/labels.ts'
import { parseMachineName } from '../../machine/name.ts'
import { canPrompt, confirm } from '../../ui/prompt.ts'
import { withProgress } from '../../ui/progress.ts'
import { defineCommand, flag, parsed, required, text, texts } from '../definition.ts'
import { hostKeyOptions, trustFrom } from './host-key-options.ts'
import { reportMachines } from './report-machine.ts'

export const adopt = defineCommand({
  name: 'adopt',
  summary: 'Take in a host that exists, over SSH',
  description:
    'Take in a host that exists. The host is read over SSH and nothing on it changes. ~/.ssh/config is followed: aliases, user, port, keys and jump hosts.',
  arguments: {
    destination: required('destination', '[user@]host[:port], or an alias of ~/.ssh/config'),
  },
  options: {
    name: parsed('--name <name>', 'what to call it; its host name if not said', parseMachineName),
    label: texts('-l, --label <key=value>', 'a label (repeatable)'),
    identity: text('-i, --identity <file>', 'the private key to log in with', 'file'),
    via: parsed('--via <machine>', 'the machine to jump through', parseMachineName),
    noEngine: flag('--engine-none', 'it is not meant to have Docker, as a jump host'),
    ...hostKeyOptions,
  },
  answers: 'json',
  examples: [
    'fleet adopt ana@203.0.113.7 --name web-1 -l role=web',
    'fleet adopt bastion --engine-none',
  ],
  async run({ fleet, io, args, options, format }) {
    const { adoptMachine } = await import('../../operations/adopt-machine.ts')
    const { namedIdentityFiles } = await import('../../operations/identity-file.ts')
    const { destination } = args
    const identityFiles = await namedIdentityFiles(options.identity)
    const created = await withProgress(io, format, options.name ?? destination, (progress) =>
      adoptMachine(
        fleet,
        {
          destination,
          name: options.name,
          labels: parseLabels(options.label),
          identityFiles,
          via: options.via,
          engine: options.noEngine ? 'none' : undefined,
          trust: trustFrom(io, options),
        },
        {
          progress,
          async confirmJump({ name, leadsTo }) {
            const question = `${leadsTo} is reached through ${name}. Take in ${name} too?`
            return !canPrompt(io) || confirm(io, question)
          },
        },
      ),
    )
    await reportMachines({ fleet, io, format }, [created], { many: false })
  },
})
