import type { Observation } from '../../operations/machine/observe-machines.ts'
import { exitCodes } from '../../errors.ts'
import { colorsOf, stateColor } from '../../ui/color.ts'
import { type Column, openTable, writeJson } from '../../ui/table.ts'
import { reportUnanswered } from '../../ui/progress/waiting.ts'
import { defineCommand, machinesArgument, parsed } from '../command.ts'
import { parseSeconds } from '../options/numbers.ts'

/** The status of a machine, as `--json` prints it. */
type Row = Omit<Observation, 'machine'> & { readonly machine: string }

function systemOf({ reason, os, arch, sshClient, sshClientReason }: Row): string {
  const system = reason ?? (os === undefined ? '' : `${os} (${arch})`)
  const client = sshClient && `SSH client: ${sshClient} (${sshClientReason})`
  return [system, client].filter(Boolean).join('; ')
}

export const status = defineCommand({
  name: 'status',
  summary: 'Show current machine state',
  description:
    'Query machines and show their current state. With --quiet, only the state is printed: one word for each machine. Exit codes: 0 if all machines are running; 5 if a single machine was queried and is not running; 1 if several were queried and at least one is not running.',
  arguments: {
    names: machinesArgument('machine names (default: the active machine)', 'optional'),
  },
  options: {
    timeout: parsed(
      '--timeout <seconds>',
      'time limit for each machine (default: 5)',
      parseSeconds,
    ),
  },
  targets: 'many',
  answers: 'names',
  examples: ['fleet status --all', 'fleet status -q web-1'],
  async run({ fleet, io, options, targets, format }) {
    const { namedMachines } = await import('../../operations/inventory/choose-machines.ts')
    const { observeMachines } = await import('../../operations/machine/observe-machines.ts')
    const machines = await namedMachines(fleet, targets)
    const colors = colorsOf(io, 'stdout')
    const columns: readonly Column<Row>[] = [
      {
        title: 'MACHINE',
        text: (row) => row.machine,
        width: Math.max(...machines.map((machine) => machine.name.length)),
        keep: true,
      },
      {
        title: 'STATE',
        width: 'unreachable'.length,
        text: (row) => row.state,
        paint: (text, { state }) => stateColor(colors, state)(text),
        keep: true,
      },
      { title: 'ENGINE', text: (row) => row.engine ?? '', width: 14, drop: 1 },
      {
        title: 'CONTAINERS',
        drop: 2,
        text: ({ containers }) =>
          containers === undefined ? '' : `${containers.running}/${containers.all}`,
      },
      {
        title: 'IMAGES',
        text: (row) => (row.images === undefined ? '' : String(row.images)),
        drop: 3,
      },
      {
        title: 'SYSTEM',
        wrap: true,
        text: (row) => systemOf(row),
      },
    ]
    const write = format.json
      ? undefined
      : format.quiet
        ? ({ state }: Row) => io.stdout.write(`${state}\n`)
        : await openTable(io, columns)
    const rows: Row[] = []
    const timeoutMs = (options.timeout ?? 5) * 1000
    const names = machines.map(({ name }) => name)
    using waiting = reportUnanswered(io, format, names, fleet.clock)
    for await (const { machine, ...rest } of observeMachines(fleet, machines, {
      timeoutMs,
      concurrency: targets.parallel,
      onAnswer: (name) => waiting.done(name),
    })) {
      const row = { machine: machine.name, ...rest }
      rows.push(row)
      write?.(row)
    }
    if (format.json) writeJson(io, rows)
    if (rows.every((row) => row.state === 'running')) return exitCodes.ok
    return rows.length === 1 ? exitCodes.unreachable : exitCodes.failed
  },
})
