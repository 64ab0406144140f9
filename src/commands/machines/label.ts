import { writeJson } from '../../ui/table.ts'
import { any, defineCommand, required } from '../definition.ts'

export const label = defineCommand({
  name: 'label',
  summary: 'Show, set or remove the labels of a machine',
  arguments: {
    name: required('name', 'the machine', 'machine'),
    labels: any('labels', 'key=value sets a label, key- removes it', 'label'),
  },
  answers: 'json',
  examples: ['fleet label web-1 role=web env=prod', 'fleet label web-1 env-'],
  async run({ fleet, io, args, format }) {
    const { labelMachine, parseLabelChange } = await import('../../operations/label-machine.ts')
    const labels = await labelMachine(fleet, args.name, parseLabelChange(args.labels))
    if (format.json) writeJson(io, labels)
    else
      for (const [key, value] of Object.entries(labels)) {
        io.stdout.write(`${key}=${value}\n`)
      }
  },
})
