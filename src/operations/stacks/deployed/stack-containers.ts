import { type ContainerPort, containerName, listContainers } from '../../../engine/containers.ts'
import type { Machine } from '../../../machine/machine.ts'
import type { Connections } from '../../context.ts'
import { readStackContainer } from '../observe-stack.ts'
import { projectLabel } from '../stack-model.ts'
import type { ChosenStack } from './choose-stack.ts'

/** A container of a stack, as `fleet stack ps` shows it. */
export interface StackContainerRow {
  readonly machine: string
  readonly stack: string
  readonly service: string
  readonly id: string
  readonly name: string
  readonly image: string
  readonly state: string
  readonly status: string
  readonly ports: readonly ContainerPort[]
}

/** Returns the machines of several stacks, in the order of their first appearance, with the stacks of each machine. */
export function stacksByMachine(
  chosen: readonly ChosenStack[],
): ReadonlyMap<Machine, readonly string[]> {
  const stacks = new Map<Machine, string[]>()
  for (const { name, machines } of chosen) {
    for (const machine of machines) stacks.set(machine, [...(stacks.get(machine) ?? []), name])
  }
  return stacks
}

/** Lists the containers of stacks on a machine, including those that have stopped, sorted by stack and name. */
export async function listStackRows(
  context: Pick<Connections, 'engine'>,
  machine: Machine,
  stacks: readonly string[],
  signal: AbortSignal,
): Promise<readonly StackContainerRow[]> {
  const engine = await context.engine(machine)
  const [only] = stacks
  const label = stacks.length === 1 ? `${projectLabel}=${only}` : projectLabel
  const all = await listContainers(engine, { all: true, filters: { label: [label] }, signal })
  const rows = all.flatMap((container): StackContainerRow[] => {
    const stack = container.Labels[projectLabel] ?? ''
    const found = readStackContainer(container)
    if (!stacks.includes(stack) || found === undefined) return []
    const { Image, State, Status, Ports } = container
    const { id, service } = found
    return [
      {
        ...{ machine: machine.name, stack, service, id, name: containerName(container) },
        ...{ image: Image, state: State, status: Status, ports: Ports },
      },
    ]
  })
  const keyOf = ({ stack, name }: StackContainerRow): string =>
    `${String(stacks.indexOf(stack)).padStart(4, '0')} ${name}`
  return rows.toSorted((one, other) => (keyOf(one) < keyOf(other) ? -1 : 1))
}
