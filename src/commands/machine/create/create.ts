import type { MachineName } from '../../../machine/name.ts'
import { UserError } from '../../../errors.ts'
import type { CreateRequest, CreatedMachine } from '../../../operations/create/create-machine.ts'
import type { Outcome } from '../../../operations/fan-out/fan-out.ts'
import type { FoundGrant } from '../../../operations/inventory/grants.ts'
import { namesAmong } from '../../../ui/fold-names.ts'
import { type Invocation, any, defineCommand } from '../../command.ts'
import { approvePlan } from '../../inventory/approve-plan.ts'
import { askCreation } from './prompts.ts'
import { allowNamedPaths, confirmGrants, reportGrants } from '../../inventory/confirm-grants.ts'
import { creationOptions, driverOptions } from './options.ts'
import { type CreationRequest, checkDriver, numberNames, requestFor } from './request.ts'
import { explainUnfinished, rollBack, handleInterruption, reportUnfinished } from './interrupted.ts'
import { reportMachines } from '../report-machine.ts'
import { summarize, workOnMachines } from '../../multi/work-on-machines.ts'

type CommandContext = Pick<Invocation, 'fleet' | 'io' | 'format'>

/**
 * Lists what the machines may use on this computer, and asks about paths outside the inventory's directory unless they
 * were given as options. Machines that cannot be created are ignored here: creating them will report why.
 */
async function reviewGrants(
  context: CommandContext,
  { names, options, driverOptions }: CreationRequest,
  request: Omit<CreateRequest, 'name'>,
): Promise<void> {
  const { fleet } = context
  const { allowTyped, grantsOfChange } = await import('../../../operations/inventory/grants.ts')
  const { draftMachine } = await import('../../../operations/create/create-machine.ts')
  await allowNamedPaths(context, options.allowPath)
  const inventory = await (await fleet.inventory()).read()
  const grants: FoundGrant[] = []
  for (const name of names) {
    try {
      const machine = draftMachine({ ...request, name }, inventory)
      await allowTyped(fleet, machine, driverOptions)
      const action = (await fleet.loadDriver(machine.driver)).lifecycle ? 'create' : 'adopt'
      grants.push(...(await grantsOfChange(fleet, inventory, machine, { action })))
    } catch (error) {
      if (!(error instanceof UserError)) throw error
    }
  }
  await reportGrants(context, grants)
  await confirmGrants(context, grants, `fleet create ${names.join(' ')}`)
}

/**
 * Creates the machines, several at the same time. With --rollback, a creation is undone immediately if it fails or is
 * stopped.
 */
async function createAll(
  context: CommandContext,
  wanted: CreationRequest,
  { written, parallel }: { written: ReadonlySet<MachineName>; parallel: number | undefined },
): Promise<Outcome<{ name: MachineName }, CreatedMachine>[]> {
  const { fleet, io, format } = context
  const { createMachine } = await import('../../../operations/create/create-machine.ts')
  const { names, options } = wanted
  const request = await requestFor(context, wanted)
  await reviewGrants(context, wanted, request)
  return workOnMachines(
    context,
    names.map((name) => ({ name })),
    async ({ name }, { progress, signal }) => {
      try {
        return await createMachine(
          fleet.with({ signal }),
          { ...request, name },
          {
            progress,
            approve: (plan) => approvePlan(io, { name, plan, yes: options.yes, json: format.json }),
          },
        )
      } catch (error) {
        if (options.rollback) await rollBack(fleet, name, error, { written, progress })
        throw error
      }
    },
    { concurrency: parallel },
  )
}

export const create = defineCommand({
  name: 'create',
  summary: 'Create machines',
  description:
    'Create machines. Each driver has its own options: see fleet create --driver DRIVER --help. If a machine already has an entry in machines.yaml, or if creating it was interrupted, specify only its name.',
  arguments: {
    names: any('names', 'names of the new machines (if omitted, fleet prompts for one)', 'machine'),
  },
  options: creationOptions,
  moreOptions: (argv, fleet) => driverOptions(argv, fleet),
  worksOnSeveral: true,
  answers: 'json',
  examples: [
    'fleet create laptop --driver local --install-engine',
    'fleet create web-1 --driver ssh --address 203.0.113.7 --user ana',
    'fleet create web --count 3 --driver aws --region eu-west-1',
  ],
  async run({ fleet, io, args, options, targets, format }) {
    const context = { fleet, io, format }
    const { readOptionFlags } = await import('../../../drivers/options/option-flags.ts')
    const asked = await askCreation(io, fleet, {
      names: args.names,
      driver: options.driver,
      options,
    })
    const { driver } = asked
    const { machines, entries } = await (await fleet.inventory()).read()
    const numbered = numberNames(asked.names, options.count)
    const isThere = (name: MachineName) => machines.get(name)?.host?.phase === 'ready'
    const names = options.count === undefined ? numbered : numbered.filter((name) => !isThere(name))
    if (names.length < numbered.length && !format.json) {
      io.stderr.write(`${namesAmong(numbered.filter(isThere), numbered.length)}: already created\n`)
    }
    const known = machines.get(names[0] as MachineName)?.driver
    const definition = driver ?? (known === undefined ? undefined : await fleet.driver(known))
    const given =
      definition === undefined ? {} : readOptionFlags(definition, asked.options as never)
    const wanted: CreationRequest = { names, driver, driverOptions: given, options }
    await checkDriver(fleet, wanted)
    const written = new Set(names.filter((name) => entries.has(name)))
    try {
      const outcomes = await createAll(context, wanted, { written, ...targets })
      const { values, failed, code } = summarize(context, outcomes)
      await reportUnfinished(
        context,
        failed.map(({ name }) => name),
      )
      const many = args.names.length > 1 || options.count !== undefined
      await reportMachines(context, values, { many })
      return code
    } catch (error) {
      if (io.signal.aborted) return handleInterruption(context, { names, written })
      throw await explainUnfinished(fleet, names, error)
    }
  },
})
