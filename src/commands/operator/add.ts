import { resolve } from 'node:path'
import { writeJson } from '../../ui/table.ts'
import { defineCommand, required, text, texts } from '../command.ts'

export const operatorAdd = defineCommand({
  name: 'add',
  summary: 'Add an operator with an SSH public key',
  description:
    'Add a person and their SSH public key to the inventory. To install the key on the machines, run fleet apply afterwards.',
  arguments: { name: required('name', 'name of the new operator') },
  options: {
    key: text('--key <file>', 'file with the public key', 'file'),
    github: text('--github <user>', 'GitHub user to get the public key from'),
    on: texts(
      '--on <selector>',
      'machines to install the key on (repeatable; default: all)',
      'selector',
    ),
  },
  answers: 'json',
  examples: [
    'fleet operator add ana --key ~/.ssh/id_ed25519.pub',
    'fleet operator add ben --github ben --on role=web',
  ],
  async run({ fleet, io, args: { name }, options, format }) {
    const { addOperator } = await import('../../operations/operators/add-operator.ts')
    const { github, on } = options
    const file = options.key === undefined ? undefined : resolve(io.cwd, options.key)
    const entry = await addOperator(fleet, { name, file, github, on })
    if (format.json)
      writeJson(io, { name, ...(typeof entry === 'string' ? { key: entry } : entry) })
    else io.stderr.write(`added operator ${name}; to install the key: fleet apply\n`)
  },
})
