import { UserError, exitCodes } from '../../errors.ts'
import type { Recovery } from '../../operations/swarm/recover-swarm.ts'
import type { Io } from '../../ui/io.ts'
import { askText, canPrompt } from '../../ui/prompt.ts'
import { withProgress } from '../../ui/progress/progress.ts'
import { writeJson } from '../../ui/table.ts'
import { chooseSwarms } from './read-states.ts'
import { defaultTimeoutMs } from '../multi/query-engines.ts'
import { defineCommand, required, text } from '../command.ts'
import { commonOptions } from '../options/common-options.ts'
import { workOnMachines } from '../multi/work-on-machines.ts'

/** Describes what a recovery will do. */
function describeRecovery({ swarm, survivor, isBegun, others, silent }: Recovery): string {
  const lines = [
    isBegun
      ? `${survivor.name} manages swarm ${swarm} again. The lost managers' nodes will be removed.`
      : `${survivor.name} will become the only manager of swarm ${swarm}, and the other managers' nodes will be removed.`,
    ...(others.length === 0
      ? []
      : [
          `Managers that will leave the swarm and can rejoin later: ${others.map(({ name }) => name).join(', ')}`,
          ...(isBegun
            ? []
            : [
                `The swarm state on ${survivor.name} will be kept. To keep another manager's state instead, pass --from NAME`,
              ]),
        ]),
    ...(silent.length === 0
      ? []
      : [
          `Managers that do not respond: ${silent.join(', ')}`,
          'Continue only if these managers are permanently lost. If one of them is still running, the swarm will be split in two.',
        ]),
  ]
  return lines.map((line) => `${line}\n`).join('')
}

/** Requires the user to confirm a recovery with the swarm's name. */
async function confirmRecovery(
  io: Io,
  recovery: Recovery,
  confirmed: string | undefined,
): Promise<void> {
  const { swarm } = recovery
  if (confirmed !== undefined && confirmed !== swarm) {
    throw new UserError(
      'usage',
      `--confirm must be the swarm name, ${swarm}, not ${JSON.stringify(confirmed)}`,
    )
  }
  io.stderr.write(describeRecovery(recovery))
  if (confirmed === swarm) return
  if (!canPrompt(io)) {
    throw new UserError('usage', `recovering swarm ${swarm} requires confirmation`, {
      hint: `to confirm: fleet swarm recover ${swarm} --confirm ${swarm}`,
    })
  }
  const typed = await askText(io, `Type ${swarm} to confirm:`)
  if (typed.trim() !== swarm) {
    throw new UserError('cancelled', `swarm ${swarm} was not recovered: its name was not confirmed`)
  }
}

export const swarmRecover = defineCommand({
  name: 'recover',
  summary: 'Recover a swarm that has lost its managers',
  description:
    "Recover a swarm after most of its managers have been permanently lost. A remaining manager becomes the only manager; services, configs, secrets, labels and workers are kept. The other managers' nodes are removed. Afterwards, fleet plan shows how to add managers again. If the other managers are only stopped, start them instead. To confirm, type the swarm name.",
  arguments: { swarm: required('swarm', 'name of the swarm', 'swarm') },
  options: {
    from: text(
      '--from <machine>',
      'manager to recover from (default: the first one that responds)',
      'machine',
    ),
    confirm: text('--confirm <swarm>', 'name of the swarm, to confirm without a prompt', 'swarm'),
    timeout: commonOptions.timeout,
  },
  answers: 'json',
  examples: ['fleet swarm recover prod', 'fleet swarm recover prod --from m2 --confirm prod'],
  async run({ fleet, io, args, options, format }) {
    await chooseSwarms({ fleet }, [args.swarm])
    const { planRecovery, recoverSwarm } = await import('../../operations/swarm/recover-swarm.ts')
    const timeoutMs = options.timeout === undefined ? defaultTimeoutMs : options.timeout * 1000
    const recovery = await withProgress(
      io,
      format,
      'recover',
      (progress) => {
        progress('query the managers')
        return planRecovery(fleet, args.swarm, { from: options.from, timeoutMs })
      },
      { isMachine: false },
    )
    await confirmRecovery(io, recovery, options.confirm)
    const outcomes = await workOnMachines(
      { fleet, io, format },
      [{ name: recovery.survivor.name, recovery }],
      (subject, calls) => recoverSwarm(fleet, subject.recovery, calls),
    )
    for (const outcome of outcomes) {
      if ('error' in outcome) continue
      const { swarm, manager, removed } = outcome.value
      if (format.json) writeJson(io, outcome.value)
      else {
        const nodes = removed.length === 0 ? '' : `; removed nodes: ${removed.join(', ')}`
        io.stderr.write(`${manager} is now the only manager of swarm ${swarm}${nodes}\n`)
        io.stderr.write('to show how to add managers: fleet plan\n')
      }
    }
    return exitCodes.ok
  },
})
