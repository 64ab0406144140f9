import { defineCommand, required } from '../command.ts'
import { changeOptions, runChanges } from './run-changes.ts'

export const serviceRollback = defineCommand({
  name: 'rollback',
  summary: 'Return a service to its state before the last update',
  description:
    'Return a service to its state before the last update, and wait for its tasks. A second rollback undoes the first one.',
  arguments: { service: required('service', 'name of the service', 'service') },
  options: changeOptions,
  targets: 'swarm',
  answers: 'json',
  examples: ['fleet service rollback web', 'fleet service rollback web -m prod --wait 60'],
  async run({ args, options, ...context }) {
    const { rollBack } = await import('../../operations/services/change-service.ts')
    return runChanges(context, [{ name: args.service }], options, (swarm, { name }, calls) =>
      rollBack(context.fleet, swarm, name, calls),
    )
  },
})
