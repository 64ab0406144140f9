import { exitCodes, UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { CheckState } from '../../operations/doctor/check.ts'
import type { Doctor } from '../../operations/doctor/doctor.ts'
import type { Observation } from '../../operations/doctor/observation.ts'
import { locateHome } from '../../state/home/locate-home.ts'
import { type Colors, colorsOf } from '../../ui/color.ts'
import { allMachines, foldNames } from '../../ui/fold-names.ts'
import { openProgress } from '../../ui/progress/progress.ts'
import { reportUnanswered } from '../../ui/progress/waiting.ts'
import { type Column, writeJson, writeRows } from '../../ui/table.ts'
import { type Invocation, defineCommand, machinesArgument } from '../command.ts'

/** The result of a check, as `--json` prints it. */
export interface CheckRow {
  /** The name of the machine; absent for this computer. */
  readonly machine?: string
  readonly check: string
  readonly state: CheckState
  readonly message: string
  readonly fix?: string | undefined
}

type Call = Pick<Invocation, 'fleet' | 'io' | 'targets' | 'format'>

const paintOf = (colors: Colors, state: CheckState) =>
  ({ ok: colors.green, warn: colors.yellow, fail: colors.red, skipped: colors.dim })[state]

/** Resolves to the machines to examine: the chosen ones, or else the active machine, if there is one. */
async function chooseMachines({ fleet, targets }: Call): Promise<readonly Machine[]> {
  const { findActive, namedMachines } =
    await import('../../operations/inventory/choose-machines.ts')
  const { names, machine, on, retryFailed } = targets
  if (names.length > 0 || machine !== undefined || on.length > 0 || retryFailed) {
    return namedMachines(fleet, targets)
  }
  try {
    const active = await findActive(fleet, await (await fleet.inventory()).read())
    return active === undefined ? [] : [active]
  } catch (error) {
    if (error instanceof UserError && error.kind === 'inventory') return [] // the check of the inventory reports it
    throw error
  }
}

async function readBroker({ fleet }: Call) {
  const broker = await fleet.broker()
  const state = await broker?.status().catch((error: unknown) => {
    if (error instanceof UserError) return error
    throw error
  })
  return { usesBroker: broker !== undefined, broker: state }
}

/**
 * Examines the machines in parallel, and resolves to the results in the order of the machines. On a terminal, shows the
 * steps; otherwise, reports the machines that have not answered yet.
 */
async function examineAll(
  { fleet, io, targets, format }: Call,
  machines: readonly Machine[],
  examining: Doctor,
): Promise<readonly Observation[]> {
  if (machines.length === 0) return []
  const { fanOutInOrder } = await import('../../operations/fan-out/fan-out.ts')
  const names = machines.map(({ name }) => name)
  const isLive = io.stderr.isTTY && !format.json
  using display = isLive ? await openProgress(io, format, names) : undefined
  using waiting = isLive ? undefined : reportUnanswered(io, format, names, fleet.clock)
  const work = async (machine: Machine, signal: AbortSignal): Promise<Observation> => {
    const run = (progress: (step: string) => void) =>
      examining.examine(machine, { signal, progress })
    const found = display === undefined ? run(() => {}) : display.track(machine.name, run)
    return found.finally(() => waiting?.done(machine.name))
  }
  const outcomes = await fanOutInOrder(machines, work, {
    ...{ signal: fleet.signal, concurrency: targets.parallel },
  })
  return outcomes.map((outcome) => {
    if (!('error' in outcome)) return outcome.value
    if (outcome.error.kind === 'bug') throw outcome.error
    return examining.unexamined(outcome.machine, outcome.error)
  })
}

const hasState = (rows: readonly CheckRow[], ...states: readonly CheckState[]): boolean =>
  rows.some(({ state }) => states.includes(state))

/** Returns the last line, which says that the machines are healthy, or which of them are not. */
function summarize(
  machines: readonly Machine[],
  byMachine: ReadonlyMap<string, readonly CheckRow[]>,
): string {
  const isBad = ({ name }: Machine) => hasState(byMachine.get(name) ?? [], 'warn', 'fail')
  const bad = machines.filter(isBad).map(({ name }) => name)
  const [only] = machines
  if (machines.length === 1) return bad.length === 0 ? `${only?.name} is healthy\n` : ''
  return bad.length === 0
    ? `${allMachines(machines.length)} are healthy\n`
    : `found problems on ${bad.length} of ${machines.length} machines: ${foldNames(bad)}\n`
}

/** Writes the rows as a table. On a terminal, the fix is part of the last column; in a pipe, it has its own column. */
async function writeTable(
  { io, format }: Pick<Call, 'io' | 'format'>,
  rows: readonly CheckRow[],
  namesMachine: boolean,
): Promise<void> {
  const colors = colorsOf(io, 'stdout')
  const fixText = ({ fix }: CheckRow) => (fix === undefined ? '' : `; fix: ${fix}`)
  const isTable = io.stdout.isTTY
  const columns: Column<CheckRow>[] = [
    ...(namesMachine
      ? [
          {
            title: 'MACHINE',
            text: ({ machine = 'this computer' }: CheckRow) => machine,
            keep: true as const,
          },
        ]
      : []),
    { title: 'CHECK', text: ({ check }) => check, keep: true },
    {
      title: 'STATE',
      text: ({ state }) => state,
      paint: (text, { state }) => paintOf(colors, state)(text),
      keep: true,
    },
    {
      title: 'RESULT',
      text: (row) => (isTable ? `${row.message}${fixText(row)}` : row.message),
      wrap: true,
    },
    ...(isTable ? [] : [{ title: 'FIX', text: ({ fix = '' }: CheckRow) => fix }]),
  ]
  await writeRows(io, format, { rows, columns })
}

export const doctor = defineCommand({
  name: 'doctor',
  summary: 'Diagnose problems with machines',
  description:
    "Check everything between this computer and each machine's engine: name resolution, jump hosts, port, SSH banner, host key, each login key, shell, packet size (MTU), sessions, clock, home directory, sudo, cloud-init, disk, engine socket, engine, Docker Compose, and the connection held by fleet's background process (the broker). fleet opens a new connection for these checks and changes nothing. Checks that depend on a failed check, or fail only because of it, are skipped, so each cause is shown once, with the command or step that fixes it. This computer is checked too: Node.js, fleet's home directory, the inventory, the SSH agent, the Docker CLI, provider credentials, and the broker. Without names, all checks for this computer and the active machine are shown; for several machines, only warnings and failures are shown. The exit code is 1 if a check fails.",
  arguments: {
    names: machinesArgument('machine names (default: the active machine, if any)', 'optional'),
  },
  targets: 'many',
  answers: 'json',
  examples: ['fleet doctor', 'fleet doctor web-1', 'fleet doctor --all --json'],
  async run(call) {
    const { fleet, io, format } = call
    const { openDoctor } = await import('../../operations/doctor/doctor.ts')
    const machines = await chooseMachines(call)
    await using opened = await openDoctor(fleet, {
      ...{ home: locateHome(fleet.env), machines, ...(await readBroker(call)) },
    })
    const computer = await opened.examineComputer()
    const observations = await examineAll(call, machines, opened)
    const judged = opened.judge(computer, observations)
    const byMachine = new Map(
      [...judged.machines].map(([machine, checks]) => [
        machine,
        checks.map((check): CheckRow => ({ machine, ...check })),
      ]),
    )
    const rows: readonly CheckRow[] = [...judged.computer, ...[...byMachine.values()].flat()]
    const code = hasState(rows, 'fail') ? exitCodes.failed : exitCodes.ok
    if (format.json) {
      writeJson(io, rows)
      return code
    }
    const namesComputer = call.targets.names.length === 0 && call.targets.on.length === 0
    const isShown = ({ machine, state }: CheckRow) =>
      state === 'warn' ||
      state === 'fail' ||
      (machine === undefined ? namesComputer : machines.length === 1)
    const shown = rows.filter(isShown)
    const namesMachine = machines.length > 1 || hasBoth(shown)
    if (shown.length > 0) await writeTable(call, shown, namesMachine)
    if (machines.length > 0) io.stderr.write(summarize(machines, byMachine))
    return code
  },
})

const hasBoth = (rows: readonly CheckRow[]): boolean =>
  rows.some(({ machine }) => machine === undefined)
