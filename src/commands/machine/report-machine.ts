import type { CreatedMachine } from '../../operations/create/create-machine.ts'
import { writeJson } from '../../ui/table.ts'
import type { Invocation } from '../command.ts'

/**
 * Reports new machines. If no machine is active, makes the first of them that has an engine the active machine. With
 * `many`, the JSON form is an array.
 */
export async function reportMachines(
  { fleet, io, format }: Pick<Invocation, 'fleet' | 'io' | 'format'>,
  created: readonly CreatedMachine[],
  { many }: { many: boolean },
): Promise<void> {
  const active = await fleet.active()
  const first = created.find(({ machine }) => machine.engine !== 'none')
  const activated = (await active.current()) === undefined ? first?.machine.name : undefined
  if (activated !== undefined) await active.use(activated)
  if (format.json) {
    const answers = created.map(({ machine, hint }) => ({ ...machine, hint }))
    for (const text of created.flatMap(({ warnings = [] }) => warnings))
      io.stderr.write(`${text}\n`)
    writeJson(io, many ? answers : answers[0])
    return
  }
  for (const { machine, probe, hint, warnings = [] } of created) {
    const engine = probe.engine?.version === undefined ? '' : `, Docker ${probe.engine.version}`
    const isActive = activated === machine.name ? ' It is now the active machine.' : ''
    io.stderr.write(
      `${machine.name} is ready: ${probe.os.name}, ${probe.arch}${engine}.${isActive}\n`,
    )
    if (hint !== undefined) io.stderr.write(`  ${hint}\n`)
    for (const text of warnings) io.stderr.write(`  ${text}\n`)
  }
}
