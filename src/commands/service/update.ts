import { UserError } from '../../errors.ts'
import { defineCommand, flag, parsed, required, text, texts } from '../command.ts'
import { parseCount } from '../options/numbers.ts'
import { changeOptions, runChanges } from './run-changes.ts'

/**
 * Throws kind `usage` for a variable without a value: docker would use the value that the variable has on this
 * computer.
 */
function checkVariables(pairs: readonly string[]): void {
  const wrong = pairs.find((pair) => !/^[^=]+=/.test(pair))
  if (wrong === undefined) return
  throw new UserError('usage', `--env-add: ${JSON.stringify(wrong)} is not NAME=VALUE`)
}

export const serviceUpdate = defineCommand({
  name: 'update',
  summary: 'Change a service and wait for its tasks',
  description:
    "Change a service and wait until its tasks have been replaced. If the update is rolled back or paused, or the time limit is reached, the exit code is 1, and the failed task's error and last log lines are printed. For all other settings, use docker: fleet -m SWARM docker service update.",
  arguments: { service: required('service', 'name of the service', 'service') },
  options: {
    image: text('--image <image>', 'container image', 'image'),
    envAdd: texts('--env-add <name=value>', 'environment variable to add or change (repeatable)'),
    envRm: texts('--env-rm <name>', 'environment variable to remove (repeatable)'),
    constraintAdd: texts('--constraint-add <constraint>', 'constraint to add (repeatable)'),
    constraintRm: texts('--constraint-rm <constraint>', 'constraint to remove (repeatable)'),
    replicas: parsed('--replicas <count>', 'number of tasks', (count) => parseCount(count)),
    force: flag('--force', 'replace all tasks even if nothing else changes'),
    resolveImage: flag('--no-resolve-image', 'do not look up the image digest'),
    ...changeOptions,
  },
  targets: 'swarm',
  answers: 'json',
  examples: [
    'fleet service update --image shop:2 web',
    'fleet service update --env-add LOG=debug --force web -m prod',
  ],
  async run({ args, options, ...context }) {
    const { changeService } = await import('../../operations/services/change-service.ts')
    const { image, envAdd, envRm, constraintAdd, constraintRm, replicas, force } = options
    checkVariables(envAdd)
    const change = { image, envAdd, envRm, constraintAdd, constraintRm, replicas, force }
    const isEmpty = Object.values(change).every(
      (value) =>
        value === undefined || value === false || (Array.isArray(value) && value.length === 0),
    )
    if (isEmpty) {
      throw new UserError('usage', 'nothing to change', {
        hint: 'to replace all tasks, add --force; to list the options: fleet service update --help',
      })
    }
    const { resolveImage } = options
    return runChanges(context, [{ name: args.service }], options, (swarm, { name }, calls) =>
      changeService(context.fleet, swarm, name, { ...change, resolveImage }, calls),
    )
  },
})
