import { UserError, exitCodes } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { KeyChange } from '../../operations/machine/rekey-machine.ts'
import type { Io } from '../../ui/io.ts'
import { confirm, canPrompt } from '../../ui/prompt.ts'
import { writeJson } from '../../ui/table.ts'
import { type Invocation, defineCommand, machineArgument } from '../command.ts'
import { yesOption } from '../options/confirmation.ts'
import { summarize } from '../multi/work-on-machines.ts'
import { type Proposal, confirmAndRun } from '../multi/confirm-and-run.ts'

type CommandContext = Pick<Invocation, 'fleet' | 'io' | 'format'>

function showChange(io: Io, { name }: Machine, { before, after }: KeyChange): void {
  io.stderr.write(`${name}: pinned host key:  ${before.join(', ')}\n`)
  io.stderr.write(`${name}: current host key: ${after}\n`)
}

/** Asks whether to accept a machine's new host key. Throws kind `usage` if there is no terminal to ask on. */
function askToAccept(io: Io, machine: Machine): Promise<boolean> {
  if (canPrompt(io)) return confirm(io, `Accept the new host key for ${machine.name}?`)
  throw new UserError('usage', 'confirmation is required, but there is no terminal to prompt on', {
    machine: machine.name,
    hint: 'compare the fingerprints, then pass --yes',
  })
}

/** Shows the old and new key of each machine, and asks whether to accept the new one. */
async function askForEach(
  io: Io,
  proposals: readonly Proposal<KeyChange>[],
): Promise<ReadonlySet<Machine>> {
  const agreed = new Set<Machine>()
  for (const { machine, plan } of proposals) {
    showChange(io, machine, plan)
    if (await askToAccept(io, machine)) agreed.add(machine)
  }
  return agreed
}

/** Accepts the new host keys of several machines. Machines whose keys have not changed are skipped. */
async function rekeyAll(
  context: CommandContext,
  machines: readonly Machine[],
  { yes, concurrency }: { readonly yes: boolean; readonly concurrency: number | undefined },
): Promise<number> {
  const { fleet, io, format } = context
  const { KeyUnchanged, rekeyMachine } = await import('../../operations/machine/rekey-machine.ts')
  const rekeyOne = async (
    machine: Machine,
    signal: AbortSignal,
    approve: (change: KeyChange) => Promise<boolean>,
  ): Promise<KeyChange | undefined> => {
    try {
      return await rekeyMachine(fleet.with({ signal }), machine, approve)
    } catch (error) {
      if (error instanceof KeyUnchanged) return undefined
      throw error
    }
  }
  const outcomes = await confirmAndRun<KeyChange | undefined, KeyChange>(context, machines, {
    work: (machine, { signal }, approve) => rekeyOne(machine, signal, approve),
    ask: (proposals) => askForEach(io, proposals),
    preapproved: yes ? async () => true : undefined,
    concurrency,
  })
  const { code } = summarize({ io, format }, outcomes)
  const done = outcomes.filter((outcome) => 'value' in outcome)
  if (format.json) {
    writeJson(
      io,
      done.flatMap(({ machine: { name }, value }) => (value ? { name, ...value } : [])),
    )
    return code
  }
  for (const { machine, value } of done) {
    if (value !== undefined && yes) showChange(io, machine, value)
    const what = value === undefined ? 'the host key is unchanged' : `pinned ${value.after}`
    io.stderr.write(`${machine.name}: ${what}\n`)
  }
  return code
}

export const rekey = defineCommand({
  name: 'rekey',
  summary: 'Accept new host keys for machines',
  description:
    "Accept a machine's new host key, for example after you reinstall its operating system. Both fingerprints are shown, and the new one requires confirmation. With --on, machines whose keys have not changed are skipped.",
  arguments: { name: machineArgument('name of the machine', 'required') },
  options: { yes: yesOption },
  targets: 'many',
  answers: 'json',
  examples: ['fleet rekey web-1', 'fleet rekey --on role=web'],
  async run({ fleet, io, options, targets, format }) {
    const { choosesMany, namedMachines } =
      await import('../../operations/inventory/choose-machines.ts')
    const { rekeyMachine } = await import('../../operations/machine/rekey-machine.ts')
    const { yes } = options
    const machines = await namedMachines(fleet, targets)
    if (choosesMany(targets)) {
      return rekeyAll({ fleet, io, format }, machines, { yes, concurrency: targets.parallel })
    }
    const [machine] = machines
    if (machine === undefined) throw new TypeError('no machine was chosen')
    const { before, after } = await rekeyMachine(fleet, machine, async (change) => {
      if (!format.json || !yes) showChange(io, machine, change)
      return yes || askToAccept(io, machine)
    })
    if (format.json) writeJson(io, { name: machine.name, before, after })
    else io.stderr.write(`${machine.name}: pinned ${after}\n`)
    return exitCodes.ok
  },
})
