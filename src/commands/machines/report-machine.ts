import type { CreatedMachine } from '../../operations/create-machine.ts'
import { writeJson } from '../../ui/table.ts'
import type { Invocation } from '../definition.ts'

/** Tells of a new machine, and makes it the active one where none is. */
export async function reportMachine(
  { fleet, io, format }: Pick<Invocation, 'fleet' | 'io' | 'format'>,
  { machine, probe, hint }: CreatedMachine,
): Promise<void> {
  const active = await fleet.active()
  if (machine.engine !== 'none' && (await active.current()) === undefined) {
    await active.use(machine.name)
  }
  if (format.json) {
    writeJson(io, { ...machine, hint })
    return
  }
  const engine = probe.engine?.version === undefined ? '' : `, Docker ${probe.engine.version}`
  const isActive = (await active.current()) === machine.name ? ' It is the active machine.' : ''
  io.stderr.write(
    `${machine.name} is ready: ${probe.os.name}, ${probe.arch}${engine}.${isActive}\n`,
  )
  if (hint !== undefined) io.stderr.write(`  ${hint}\n`)
}
