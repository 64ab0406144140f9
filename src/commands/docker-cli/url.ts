import { type Command, defineCommand, optional } from '../command.ts'

/** Defines a command that prints how docker connects to a machine. */
const urlCommand = (
  name: string,
  {
    summary,
    description,
    example,
  }: Readonly<Record<'summary' | 'description' | 'example', string>>,
  textOf: (url: string) => string,
): Command =>
  defineCommand({
    name,
    summary,
    description: `${description} Connections use a local socket that stays open until you close the terminal.`,
    arguments: {
      name: optional(
        'name',
        'name of the machine or swarm (default: the active machine)',
        'machine',
      ),
    },
    targets: 'one',
    examples: [example],
    async run({ fleet, io, args, targets }) {
      const { describeEnvironment } = await import('../../operations/docker/shell-environment.ts')
      const { chooseMachineOrManager } =
        await import('../../operations/inventory/choose-machines.ts')
      const machine = await chooseMachineOrManager(fleet, args.name ?? targets.machine)
      const { set } = await describeEnvironment(fleet, machine, { bypassProxy: false })
      io.stdout.write(`${textOf(set.DOCKER_HOST)}\n`)
    },
  })

export const url = urlCommand(
  'url',
  {
    summary: 'Print the DOCKER_HOST value for a machine',
    description: 'Print the value of DOCKER_HOST that connects docker to a machine.',
    example: 'DOCKER_HOST=$(fleet url web-1) docker ps',
  },
  (text) => text,
)

export const config = urlCommand(
  'config',
  {
    summary: 'Print the docker options for a machine',
    description: 'Print the docker options that connect docker to a machine.',
    example: 'docker $(fleet config web-1) ps',
  },
  (text) => `-H=${text}`,
)
