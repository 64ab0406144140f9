import { UserError } from '../../errors.ts'
import { defineCommand, several } from '../command.ts'
import { parseCount } from '../options/numbers.ts'
import { changeOptions, runChanges } from './run-changes.ts'

/** Parses SERVICE=REPLICAS. Throws kind `usage` for anything else. */
function readScale(word: string): { readonly name: string; readonly replicas: number } {
  const [, name, count] = /^([^=]+)=(\d+)$/.exec(word) ?? []
  if (name === undefined || count === undefined) {
    throw new UserError('usage', `${JSON.stringify(word)} is not SERVICE=REPLICAS`, {
      hint: 'for example: fleet service scale web=3',
    })
  }
  return { name, replicas: parseCount(count) }
}

export const serviceScale = defineCommand({
  name: 'scale',
  summary: 'Change service replica counts',
  description:
    'Change service replica counts, and wait until the tasks are running. If the tasks are not running within the time limit, the exit code is 1.',
  arguments: {
    services: several('service=replicas', 'services and their replica counts', 'service'),
  },
  options: changeOptions,
  targets: 'swarm',
  answers: 'json',
  examples: ['fleet service scale web=3 api=2', 'fleet service scale web=0 -m prod'],
  async run({ args, options, ...context }) {
    const { changeService } = await import('../../operations/services/change-service.ts')
    const scales = new Map(args.services.map(readScale).map((scale) => [scale.name, scale]))
    return runChanges(context, [...scales.values()], options, (swarm, { name, replicas }, calls) =>
      changeService(context.fleet, swarm, name, { replicas, resolveImage: false }, calls),
    )
  },
})
