import type { Step } from '../../provision/step.ts'
import { withProgress } from '../../ui/progress.ts'
import { writeJson } from '../../ui/table.ts'
import { defineCommand, optional } from '../definition.ts'
import { approvePlan } from './approve-plan.ts'
import { yesOption } from './confirmation.ts'

export const provision = defineCommand({
  name: 'provision',
  summary: 'Install or repair Docker on a machine',
  description:
    'Install or repair Docker on a machine over SSH. It says what it will change and asks; where nothing is to be done it changes nothing. Settings of the engine are left alone.',
  arguments: { name: optional('name', 'the machine; the active one if none is named', 'machine') },
  options: { yes: yesOption },
  targets: 'one',
  answers: 'json',
  async run({ fleet, io, args, options, targets, format }) {
    const { chooseMachine } = await import('../../operations/choose-machines.ts')
    const { provisionMachine } = await import('../../operations/provision-machine.ts')
    const machine = await chooseMachine(fleet, args.name ?? targets.machine)
    const { plan, probe } = await withProgress(io, format, machine.name, (progress) =>
      provisionMachine(fleet, machine, {
        progress,
        approve: (plan) =>
          approvePlan(io, { name: machine.name, plan, yes: options.yes, json: format.json }),
      }),
    )
    if (format.json) writeJson(io, { changed: plan.map(({ why }: Step) => why), ...probe })
    else if (plan.length === 0) io.stderr.write(`${machine.name}: nothing to change\n`)
    else {
      const engine = probe.engine?.version === undefined ? '' : `: Docker ${probe.engine.version}`
      io.stderr.write(`${machine.name} is ready${engine}\n`)
    }
  },
})
