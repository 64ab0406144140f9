import type { Demand } from '../../operations/top/open-sources.ts'
import { listOf, visibleRows } from './list.ts'
import type { Model, StackModel } from './model/model.ts'
import type { ContainerItem } from './views/containers.ts'
import type { ServiceItem } from './views/services.ts'
import type { Row } from './views/view.ts'

/** Returns the running containers that a row represents, as pairs of machine name and container ID. */
function containersOf({ view, item }: Row): readonly (readonly [string, string])[] {
  if (view.name === 'containers') {
    const { machine, container } = item as ContainerItem
    return container.state === 'running' ? [[machine.machine.name, container.id]] : []
  }
  if (view.name !== 'stacks') return []
  const { machine, containers } = item as StackModel
  return containers
    .filter(({ state }) => state === 'running')
    .map(({ id }) => [machine.machine.name, id])
}

/** Returns which data must be read from the machines for what is currently on the screen. */
export function demandOf(model: Model): Demand {
  const { page } = model
  const list = listOf(model)
  const rows =
    page.kind === 'list'
      ? visibleRows(list)
      : page.kind === 'details'
        ? list.rows.filter(({ id }) => id === page.of)
        : []
  const stats = new Map<string, string[]>()
  for (const [machine, id] of rows.flatMap(containersOf)) {
    const known = stats.get(machine)
    if (known === undefined) stats.set(machine, [id])
    else known.push(id)
  }
  const [row] = rows
  const opened =
    page.kind === 'details' && row?.view.name === 'services' ? (row.item as ServiceItem) : undefined
  return {
    stats,
    images: model.view === 'images',
    services: model.view === 'services',
    tasksOf: opened && { swarm: opened.swarm.name, service: opened.service.id },
  }
}
