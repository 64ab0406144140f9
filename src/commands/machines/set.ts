import { writeJson } from '../../ui/table.ts'
import { defineCommand, required, several } from '../definition.ts'

export const set = defineCommand({
  name: 'set',
  summary: 'Change what the entry of a machine says',
  description:
    'Change what the entry of a machine says: label.KEY, protected (true or false), engine (none, a version or a channel, for when one is installed), via, userData. The host stays as it is.',
  arguments: {
    name: required('name', 'the machine', 'machine'),
    settings: several('settings', 'key=value sets, key- removes'),
  },
  answers: 'json',
  examples: [
    'fleet set web-1 protected=true label.role=web',
    'fleet set web-1 via=bastion engine-',
  ],
  async run({ fleet, io, args, format }) {
    const { parseSettings, setMachine } = await import('../../operations/set-machine.ts')
    const entry = await setMachine(fleet, args.name, parseSettings(args.settings))
    if (format.json) writeJson(io, { name: args.name, ...entry })
    else io.stderr.write(`the entry of ${args.name} is changed\n`)
  },
})
