import { UserError, exitCodes } from '../../errors.ts'
import { type Machine, hasHost } from '../../machine/machine.ts'
import type { RemovedStack } from '../../operations/stacks/deployed/remove-stack.ts'
import { writeFailure } from '../../ui/failure.ts'
import { foldNames } from '../../ui/fold-names.ts'
import { counted } from '../../ui/human-units.ts'
import type { Io } from '../../ui/io.ts'
import { askText, canPrompt } from '../../ui/prompt.ts'
import { writeJson } from '../../ui/table.ts'
import { type Invocation, defineCommand, flag, required, text } from '../command.ts'
import { summarize, workOnMachines } from '../multi/work-on-machines.ts'
import { removeFromSwarms, swarmOfStack, swarmsOfRemovedStack } from './on-swarm.ts'
import { requireConsent, yesOption } from '../options/confirmation.ts'

type CommandContext = Pick<Invocation, 'fleet' | 'io' | 'format'>

/** The parts of a stack that exist on a machine. */
interface Present {
  readonly machine: Machine
  readonly containers: readonly string[]
  readonly volumes: readonly string[]
  /** Whether releases of the stack are stored on the host. */
  readonly hasReleases: boolean
}

const isOn = ({ containers, volumes, hasReleases }: Present): boolean =>
  containers.length > 0 || volumes.length > 0 || hasReleases

/**
 * Finds the parts of a stack on each machine, and omits machines that have none. Failures are reported; if there are
 * any, `code` is 1, and the caller must not change anything.
 */
async function findPresent(
  context: CommandContext,
  stack: string,
  machines: readonly Machine[],
): Promise<{ readonly present: readonly Present[]; readonly code: number }> {
  const { fleet } = context
  const { openStore } = await import('../../operations/stacks/host-store/open-store.ts')
  const { containerName } = await import('../../engine/containers.ts')
  const { listStackItems } = await import('../../operations/stacks/deployed/remove-stack.ts')
  const { isIdle } = await import('../../operations/stacks/idle-container.ts')
  const { readReleases } = await import('../../operations/stacks/host-store/releases.ts')
  const { fanOutInOrder } = await import('../../operations/fan-out/fan-out.ts')
  const outcomes = await fanOutInOrder(
    machines.filter(hasHost),
    async (machine, signal): Promise<Present> => {
      const { host, mirror } = await openStore(fleet.with({ signal }), machine, stack)
      const engine = await fleet.engine(machine)
      const [{ containers: listed, volumes }, releases] = await Promise.all([
        listStackItems(engine, stack, signal),
        readReleases(host, mirror.folder),
      ])
      const shown = listed.filter((container) => !isIdle(container))
      const containers = shown.map(containerName).toSorted()
      return { machine, containers, volumes, hasReleases: releases.all.length > 0 }
    },
    { signal: fleet.signal },
  )
  const { values, code } = summarize(context, outcomes)
  return { present: values.filter(isOn), code }
}

const namesOf = (present: readonly Present[]): string =>
  foldNames(present.map(({ machine }) => machine.name))

/** Describes what will be removed. */
function describeRemoval(stack: string, present: readonly Present[]): string {
  const lines = present.map(
    ({ machine, containers }) =>
      `  ${machine.name}: ${containers.length === 0 ? 'no containers' : `${counted(containers.length, 'container')} (${containers.join(', ')})`}\n`,
  )
  return `This will remove the containers, networks and releases of stack ${stack}:\n${lines.join('')}`
}

const uniqueVolumes = (present: readonly Present[]): readonly string[] =>
  [...new Set(present.flatMap(({ volumes }) => volumes))].toSorted()

/**
 * Resolves to whether volumes are deleted too. This requires `--volumes` and the name of the stack, typed at the prompt
 * or passed with `--destroy`. Throws kind `usage` if the name would have to be typed but there is no terminal.
 */
async function confirmVolumes(
  io: Io,
  stack: string,
  present: readonly Present[],
  { volumes, destroy }: { readonly volumes: boolean; readonly destroy: string | undefined },
): Promise<boolean> {
  if (destroy !== undefined && destroy !== stack) {
    throw new UserError(
      'usage',
      `--destroy must be the stack name (${stack}), not ${JSON.stringify(destroy)}`,
      {
        hint: "--destroy confirms that you want to delete the stack's volumes",
      },
    )
  }
  if (!volumes) {
    if (destroy === undefined) return false
    throw new UserError('usage', '--destroy can only be used with --volumes')
  }
  if (destroy === stack) return true
  const names = uniqueVolumes(present)
  const files = 'files that containers wrote to copied directories'
  const volumeList =
    names.length === 0
      ? 'the volumes'
      : `${names.length === 1 ? 'volume' : 'volumes'} ${names.join(', ')}`
  const what = names.length === 0 ? files : `${volumeList}, and ${files},`
  if (!canPrompt(io)) {
    throw new UserError('usage', `deleting ${volumeList} in stack ${stack} requires confirmation`, {
      hint: `to confirm: fleet stack rm ${stack} --volumes --destroy ${stack}`,
    })
  }
  const typed = await askText(
    io,
    `This will delete ${what} on ${namesOf(present)}. Type ${stack} to confirm, or press Enter to keep them:`,
  )
  return typed.trim() === stack
}

/** Describes what was removed, and what was kept. */
function describeRemoved(stack: string, removed: RemovedStack): string {
  const { machine, containers, volumes, keptVolumes, keptFiles } = removed
  const lines = [
    `${machine}: removed stack ${stack} (${counted(containers, 'container')}${volumes.length === 0 ? '' : `, ${counted(volumes.length, 'volume')}`})`,
    ...(keptVolumes.length === 0 ? [] : [`  kept volumes: ${keptVolumes.join(', ')}`]),
    ...(keptFiles === undefined
      ? []
      : [`  kept files that were changed on the host: ${keptFiles}`]),
  ]
  return lines.map((line) => `${line}\n`).join('')
}

export const stackRm = defineCommand({
  name: 'rm',
  summary: 'Remove a stack from machines',
  description:
    "Remove a stack's containers, networks and releases from its machines, or from those that --on selects. Neither its Compose file nor an inventory entry is required. Volumes are kept, as are files that containers wrote to directories that fleet copied. To delete these volumes and files too, pass --volumes, then type the stack name when prompted or pass --destroy. The entry in machines.yaml is not changed; while it exists, fleet deploy and fleet apply will deploy the stack again.",
  arguments: { stack: required('stack', 'name of the stack', 'stack') },
  options: {
    volumes: flag(
      '--volumes',
      "also delete the stack's volumes, and files that containers wrote to copied directories",
    ),
    destroy: text(
      '--destroy <stack>',
      'stack name, repeated to confirm --volumes without a prompt (--yes does not confirm it)',
      'stack',
    ),
    yes: yesOption,
  },
  targets: 'many',
  answers: 'json',
  examples: [
    'fleet stack rm shop',
    'fleet stack rm shop --on web-3',
    'fleet stack rm shop --volumes --destroy shop --yes',
  ],
  async run({ fleet, io, args, options, targets, format }) {
    const context = { fleet, io, format }
    const own = await swarmOfStack({ fleet, targets }, args.stack)
    const swarms =
      own === undefined ? await swarmsOfRemovedStack({ fleet, targets }, args.stack) : [own]
    if (swarms.length > 0) return removeFromSwarms(context, swarms, args.stack, options)
    const { chooseStack } = await import('../../operations/stacks/deployed/choose-stack.ts')
    const { name, machines } = await chooseStack(fleet, args.stack, targets)
    const { present, code: foundCode } = await findPresent(context, name, machines)
    if (foundCode !== exitCodes.ok) {
      writeFailure(io, new UserError('failed', 'nothing was changed'), format.json)
      return foundCode
    }
    if (present.length === 0) {
      throw new UserError(
        'failed',
        `stack ${name} is not on ${foldNames(machines.map((machine) => machine.name))}`,
        { hint: 'to list stacks and their machines: fleet stack ls' },
      )
    }
    const preface = format.json ? '' : describeRemoval(name, present)
    const what = present.length === 1 ? 'this machine' : `these ${present.length} machines`
    await requireConsent(io, options.yes, `Remove stack ${name} from ${what}?`, preface)
    const withVolumes = await confirmVolumes(io, name, present, options)
    const { openStore } = await import('../../operations/stacks/host-store/open-store.ts')
    const { removeStack } = await import('../../operations/stacks/deployed/remove-stack.ts')
    const { currentOwner } = await import('../../operations/stacks/host-store/lock-owner.ts')
    const owner = currentOwner(`remove ${name}`)
    const outcomes = await workOnMachines(
      context,
      present.map(({ machine }) => machine),
      async (machine, calls) => {
        const calling = fleet.with({ signal: calls.signal })
        const { mirror } = await openStore(calling, machine, name)
        const engine = await fleet.engine(machine)
        const removal = { stack: name, machine: machine.name, engine, mirror, owner, withVolumes }
        return removeStack(removal, calls)
      },
      { concurrency: targets.parallel },
    )
    const { values, code } = summarize(context, outcomes)
    if (format.json) writeJson(io, values)
    else for (const removed of values) io.stderr.write(describeRemoved(name, removed))
    return code
  },
})
