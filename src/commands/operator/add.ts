import { resolve } from 'node:path'
import { writeJson } from '../../ui/table.ts'
import { defineCommand, required, text, texts } from '../command.ts'

export const operatorAdd = defineCommand({
  name: 'add',
  summary: "Write somebody's public key into the inventory, to be let in by fleet apply",
  arguments: { name: required('name', 'what to call the operator') },
  options: {
    key: text('--key <file>', 'the file with the public key', 'file'),
    github: text('--github <user>', 'take the key that GitHub knows of this user'),
    on: texts(
      '--on <selector>',
      'the machines that let the key in; all if not said (repeatable)',
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
    else io.stderr.write(`${name} is an operator; to let the key in: fleet apply\n`)
  },
})
