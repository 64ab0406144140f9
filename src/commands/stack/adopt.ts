import { UserError, exitCodes } from '../../errors.ts'
import { type Machine, hasHost } from '../../machine/machine.ts'
import type { AdoptedStack } from '../../operations/stacks/deployed/adopt-stack.ts'
import { writeFailure } from '../../ui/failure.ts'
import { foldNames } from '../../ui/fold-names.ts'
import { writeJson } from '../../ui/table.ts'
import { defineCommand, required } from '../command.ts'
import { summarize, workOnMachines } from '../multi/work-on-machines.ts'

/** Describes what was recorded, and what the next deployment will change. */
function describeAdopted({ machine, stack, services, differing, mounts }: AdoptedStack): string {
  const lines = [
    `${machine}: recorded the running containers as release 1 of stack ${stack} (${services.join(', ')})`,
    ...(differing.length === 0
      ? []
      : [`  services that differ from the Compose file on the host: ${differing.join(', ')}`]),
    ...(mounts.length === 0
      ? []
      : [
          `  paths mounted from the host: ${mounts.join(', ')}`,
          '  the next deployment will mount copies of files from this computer instead; if containers have written data to these paths, move it first',
        ]),
  ]
  return lines.map((line) => `${line}\n`).join('')
}

export const stackAdopt = defineCommand({
  name: 'adopt',
  summary: 'Record a running Compose project as a release',
  description:
    "Record a Compose project as the stack's first release. The project must have been started with docker compose and have the same name as the stack. Its containers are not changed. The next fleet deploy replaces them with containers from the Compose files in the inventory, keeps the volumes, and returns to the recorded release if the deployment fails. The project's Compose files must be on the host.",
  arguments: { stack: required('stack', 'name of the stack in the inventory', 'stack') },
  targets: 'many',
  answers: 'json',
  examples: ['fleet stack adopt shop', 'fleet stack adopt shop --on web-1'],
  async run({ fleet, io, args, targets, format }) {
    const context = { fleet, io, format }
    const { chooseStack, findStack } =
      await import('../../operations/stacks/deployed/choose-stack.ts')
    const { listStackRows } = await import('../../operations/stacks/deployed/stack-containers.ts')
    const { fanOutInOrder } = await import('../../operations/fan-out/fan-out.ts')
    const { name, swarm } = findStack(await (await fleet.inventory()).read(), args.stack)
    if (swarm !== undefined) {
      throw new UserError(
        'usage',
        `stack ${name} is on swarm ${swarm}, so there is nothing to adopt`,
        {
          hint: `fleet deploy ${name} will update any of the stack's services that already exist`,
        },
      )
    }
    const { machines } = await chooseStack(fleet, name, targets)
    const found = await fanOutInOrder(
      machines.filter(hasHost),
      async (machine, signal): Promise<Machine[]> =>
        (await listStackRows(fleet, machine, [name], signal)).length === 0 ? [] : [machine],
      { signal: fleet.signal },
    )
    const { values, code: foundCode } = summarize(context, found)
    if (foundCode !== exitCodes.ok) {
      writeFailure(io, new UserError('failed', 'nothing was changed'), format.json)
      return foundCode
    }
    const present = values.flat()
    if (present.length === 0) {
      throw new UserError(
        'failed',
        `there is no Compose project named ${name} on ${foldNames(machines.map((machine) => machine.name))}`,
        {
          hint: `to list projects: fleet -m ${machines[0]?.name ?? 'NAME'} compose ls; to deploy the stack: fleet deploy ${name}`,
        },
      )
    }
    const { openStore } = await import('../../operations/stacks/host-store/open-store.ts')
    const { adoptStack } = await import('../../operations/stacks/deployed/adopt-stack.ts')
    const { currentOwner } = await import('../../operations/stacks/host-store/lock-owner.ts')
    const owner = currentOwner(`adopt ${name}`)
    const outcomes = await workOnMachines(
      context,
      present,
      async (machine, calls) => {
        const calling = fleet.with({ signal: calls.signal })
        const { host, mirror } = await openStore(calling, machine, name)
        const engine = await fleet.engine(machine)
        const adoption = { stack: name, host, folder: mirror.folder, engine, owner }
        return adoptStack(calling, adoption, calls)
      },
      { concurrency: targets.parallel },
    )
    const { values: adopted, code } = summarize(context, outcomes)
    if (format.json) writeJson(io, adopted)
    else for (const one of adopted) io.stderr.write(describeAdopted(one))
    return code
  },
})
