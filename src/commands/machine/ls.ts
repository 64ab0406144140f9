import { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { Observation } from '../../operations/machine/observe-machines.ts'
import { colorsOf, stateColor } from '../../ui/color.ts'
import type { Io } from '../../ui/io.ts'
import { type Column, openTable, writeJson, writeName, writeRows } from '../../ui/table.ts'
import { reportUnanswered } from '../../ui/progress/waiting.ts'
import { type Invocation, type Targets, defineCommand, flag, parsed, texts } from '../command.ts'
import { parseSeconds } from '../options/numbers.ts'
import { warnUntrusted } from '../trust/warn-untrusted.ts'

/** A machine as `fleet ls` shows it. */
interface Row {
  readonly name: string
  readonly active: boolean
  readonly driver: string
  readonly address: string
  readonly labels: Readonly<Record<string, string>>
  readonly phase: string
  readonly live?: Omit<Observation, 'machine'>
}

const staticColumns: readonly Column<Row>[] = [
  { title: 'NAME', text: (row) => row.name, keep: true },
  { title: 'ACTIVE', text: (row) => (row.active ? '*' : ''), drop: 2 },
  { title: 'DRIVER', text: (row) => row.driver, drop: 1 },
  { title: 'ADDRESS', text: (row) => row.address, keep: true },
  {
    title: 'LABELS',
    drop: 5,
    text: ({ labels }) =>
      Object.keys(labels)
        .map((key) => `${key}=${labels[key]}`)
        .join(','),
  },
]

const phaseColumn = (io: Io): Column<Row> => ({
  title: 'PHASE',
  text: (row) => row.phase,
  paint: (text, { phase }) => stateColor(colorsOf(io, 'stdout'), phase)(text),
})

const liveColumns = (io: Io): readonly Column<Row>[] => {
  const colors = colorsOf(io, 'stdout')
  return [
    {
      title: 'STATE',
      width: 'unreachable'.length,
      text: ({ live }) => live?.state ?? '',
      paint: (text, { live }) => stateColor(colors, live?.state ?? '')(text),
      keep: true,
    },
    { title: 'ENGINE', width: 14, text: ({ live }) => live?.engine ?? '', drop: 3 },
    {
      title: 'CONTAINERS',
      drop: 4,
      text: ({ live }) =>
        live?.containers === undefined ? '' : `${live.containers.running}/${live.containers.all}`,
    },
    { title: '', text: ({ live }) => live?.reason ?? '', wrap: true },
  ]
}

function rowOf(machine: Machine, active: string | undefined): Row {
  return {
    name: machine.name,
    active: machine.name === active,
    driver: machine.driver,
    address: addressOf(machine),
    labels: machine.labels ?? {},
    phase: machine.host?.phase ?? 'not-created',
  }
}

function addressOf({ host }: Machine): string {
  if (host === undefined) return ''
  if (host.address === undefined) return host.phase === 'ready' ? 'this computer' : ''
  return host.port === undefined ? host.address : `${host.address}:${host.port}`
}

/** Returns the selector that is equivalent to a Docker Machine filter. Throws kind `usage` for an invalid filter. */
function selectorOf(filter: string): string {
  const [, key = '', value = ''] = /^(name|driver|state|label)=([^,!]+)$/.exec(filter) ?? []
  if (key === 'driver') return filter
  if (key === 'state') return `state=${value.toLowerCase()}`
  if (key === 'name') return /[*?]/.test(value) ? value : `*${value}*` // matches a part of the name, as in docker
  if (key === 'label' && /^[^=]+=/.test(value)) return value
  throw new UserError('usage', `--filter: ${JSON.stringify(filter)} is not a valid filter`, {
    hint: 'use driver=NAME, state=STATE, name=PART or label=KEY=VALUE',
  })
}

/** Resolves to the machines to list. Unlike a selector, a filter is allowed to match no machine. */
async function machinesToList(
  fleet: Invocation['fleet'],
  targets: Targets,
  filters: readonly string[],
): Promise<Machine[]> {
  const { listMachines } = await import('../../operations/inventory/choose-machines.ts')
  const machines = await listMachines(fleet, targets)
  if (filters.length === 0) return machines
  const on = filters.map(selectorOf)
  const found = await listMachines(fleet, { machine: undefined, on }).catch((error: unknown) => {
    if (error instanceof UserError && error.kind === 'unknown-machine') return []
    throw error
  })
  const names = new Set(found.map(({ name }) => name))
  return machines.filter(({ name }) => names.has(name))
}

export const ls = defineCommand({
  name: 'ls',
  aliases: ['list'],
  summary: 'List machines',
  description:
    'List the machines in the inventory. Without --live, only the inventory file is read; with --live, all hosts are also queried.',
  options: {
    filter: texts(
      '-f, --filter <filter>',
      'show only machines that match driver=NAME, state=STATE, name=PART or label=KEY=VALUE (repeatable)',
    ),
    live: flag('--live', 'query the current state of every machine'),
    timeout: parsed(
      '--timeout <seconds>',
      'time limit for each machine with --live (default: 5)',
      parseSeconds,
    ),
  },
  targets: 'many',
  answers: 'names',
  examples: ['fleet ls --on role=web', 'fleet ls --live', 'fleet ls -q | xargs -n1 fleet ip'],
  async run({ fleet, io, options, targets, format }) {
    if (options.timeout !== undefined && !options.live) {
      throw new UserError(
        'usage',
        '--timeout can only be used with --live, because no hosts are queried otherwise',
        {
          hint: 'to query the hosts: fleet ls --live',
        },
      )
    }
    const { activeName } = await import('../../operations/inventory/choose-machines.ts')
    const machines = await machinesToList(fleet, targets, options.filter)
    const isText = !format.json && !format.quiet
    if (machines.length === 0 && options.filter.length === 0 && isText) {
      const { addMachineHint } = await import('../../machine/unknown-name.ts')
      io.stderr.write(`no machines yet: ${addMachineHint}\n`)
    }
    await warnUntrusted(fleet, io)
    const active = await activeName(fleet)
    const rows = machines.map((machine) => rowOf(machine, active))
    const name = (row: Row) => row.name
    if (!options.live) {
      await writeRows(io, format, { rows, columns: [...staticColumns, phaseColumn(io)], name })
      return
    }
    const { observeMachines } = await import('../../operations/machine/observe-machines.ts')
    const timeoutMs = (options.timeout ?? 5) * 1000
    const write = format.json
      ? undefined
      : await openTable(io, [...staticColumns, ...liveColumns(io)], rows)
    const names = machines.map(({ name }) => name)
    using waiting = reportUnanswered(io, format, names, fleet.clock)
    const answers: Row[] = []
    for await (const { machine, ...live } of observeMachines(fleet, machines, {
      timeoutMs,
      concurrency: targets.parallel,
      onAnswer: (name) => waiting.done(name),
    })) {
      const row = { ...rowOf(machine, active), live }
      answers.push(row)
      if (format.quiet) writeName(io, row.name)
      else write?.(row)
    }
    if (format.json) writeJson(io, answers)
  },
})
