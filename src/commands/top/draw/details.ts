import { type Canvas, fitCells } from '../../../ui/screen/canvas.ts'
import { type Tone, partTones, styleOf } from '../../../ui/screen/palette.ts'
import { drawParts, partGlyph, sparkline } from '../../../ui/screen/pictures.ts'
import { shortImage } from '../../service/ls.ts'
import { listOf } from '../list.ts'
import { type Model, type StackModel, stateOfMachine, usageKey } from '../model/model.ts'
import type { TaskRow } from '../../../operations/services/list-services.ts'
import type { TopEvent } from '../../../operations/top/updates.ts'
import type { ContainerItem } from '../views/containers.ts'
import type { ImageItem } from '../views/images.ts'
import { type ServiceItem, stateOfService, toneOfService } from '../views/services.ts'
import { dataAge } from '../views/machines.ts'
import { age, percent, size } from '../views/texts.ts'
import type { Row } from '../views/view.ts'

/** A function that draws one line of the details. */
type Line = (canvas: Canvas, y: number) => void

/** Returns the number of lines that the window has for the details. */
export const detailsHeight = ({ rows }: Model): number => Math.max(1, rows - 3)

const labelWidth = 14

/** Returns a line with a label and a text. */
const fact =
  ({ look }: Model, label: string, text: string, tone: Tone = 'plain'): Line =>
  (canvas, y) => {
    canvas.put(1, y, label, styleOf(look, 'dim'))
    canvas.put(labelWidth, y, text, styleOf(look, tone))
  }

const plain =
  (text: string, style = ''): Line =>
  (canvas, y) =>
    void canvas.put(1, y, text, style)

const blank: Line = () => {}

/** Returns a line with a label, a sparkline, and the newest value. */
const history =
  (
    { look }: Model,
    label: string,
    values: readonly number[],
    { text, most }: { readonly text: string; readonly most?: number },
  ): Line =>
  (canvas, y) => {
    canvas.put(1, y, label, styleOf(look, 'dim'))
    const width = Math.max(10, Math.min(120, canvas.columns - labelWidth - 12))
    canvas.put(labelWidth, y, sparkline(look, values, width, most), styleOf(look, 'accent'))
    canvas.put(labelWidth + width + 1, y, text)
  }

function machineLines(model: Model, name: string): readonly Line[] {
  const machine = model.machines.get(name)
  if (machine === undefined) return []
  const { figures, disk } = machine
  const state = stateOfMachine(machine, model.now)
  const { host, driver, labels = {}, via } = machine.machine
  const labelText = Object.entries(labels).map(([key, value]) => `${key}=${value}`)
  const parts = disk && [disk.images, disk.containers, disk.volumes, disk.cache]
  const used = parts?.reduce((sum, one) => sum + one, 0) ?? 0
  const total = Math.max(used, figures?.disk?.total ?? used)
  const legend = parts?.map((part, index) => {
    const kind = ['images', 'containers', 'volumes', 'build cache'][index] ?? ''
    return { text: `${partGlyph(model.look, index)} ${kind} ${size(part)}`, index }
  })
  return [
    fact(model, 'State', state, state === 'running' ? 'good' : 'bad'),
    ...(state === 'running' || machine.reason === undefined
      ? []
      : [fact(model, 'Reason', machine.reason, 'bad')]),
    ...(state === 'unreachable'
      ? [fact(model, 'Last answer', `${dataAge(machine, model.now)} ago`)]
      : []),
    fact(model, 'Driver', driver),
    fact(model, 'Address', host?.address ?? ''),
    ...(via === undefined ? [] : [fact(model, 'Via', via)]),
    ...(labelText.length === 0 ? [] : [fact(model, 'Labels', labelText.join(' '))]),
    ...(machine.machine.protected === true ? [fact(model, 'Protected', 'yes', 'warn')] : []),
    fact(model, 'Engine', machine.engine ?? ''),
    fact(model, 'Processors', String(machine.processors ?? '')),
    blank,
    history(model, 'CPU', machine.cpu, { text: percent(machine.cpu.at(-1)), most: 1 }),
    history(model, 'Memory', machine.memory, {
      text: figures ? `${size(figures.memory.used)} of ${size(figures.memory.total)}` : '',
      most: 1,
    }),
    fact(model, 'Load', figures === undefined ? '' : figures.load.toFixed(2)),
    blank,
    ...(parts === undefined
      ? [fact(model, 'Disk', machine.phase === 'connected' ? 'measuring …' : '')]
      : [
          ((canvas, y) => {
            canvas.put(1, y, 'Disk', styleOf(model.look, 'dim'))
            const width = Math.max(10, canvas.columns - labelWidth - 1)
            drawParts(canvas, model.look, { x: labelWidth, y, width, parts, total })
          }) satisfies Line,
          ...(legend ?? []).map(
            ({ text, index }): Line =>
              (canvas, y) =>
                void canvas.put(
                  labelWidth,
                  y,
                  text,
                  styleOf(model.look, partTones[index] ?? 'plain'),
                ),
          ),
          ...(figures?.disk
            ? [
                fact(
                  model,
                  '',
                  `${size(figures.disk.used)} of ${size(figures.disk.total)} used, including other data`,
                ),
              ]
            : []),
        ]),
  ]
}

function containerLines(model: Model, { machine, container }: ContainerItem): readonly Line[] {
  const usage = model.usage.get(usageKey(machine.machine.name, container.id))
  const stats = usage?.stats
  const { page } = model
  const lines = page.kind === 'details' ? page.details?.lines : undefined
  return [
    fact(model, 'State', container.status || container.state),
    fact(model, 'Image', container.image),
    fact(model, 'Machine', machine.machine.name),
    ...(container.stack === ''
      ? []
      : [fact(model, 'Stack', `${container.stack} (service ${container.service})`)]),
    ...(usage?.restarts === undefined ? [] : [fact(model, 'Restarts', String(usage.restarts))]),
    ...(usage === undefined || stats === undefined
      ? []
      : [
          blank,
          history(model, 'CPU', usage.cpu.slice(1), { text: `${stats.cpuPercent.toFixed(1)}%` }),
          history(model, 'Memory', usage.memory, { text: size(stats.memory.used), most: 100 }),
          history(model, 'Net in', usage.received, {
            text: `${size(usage.received.at(-1) ?? 0)}/s`,
          }),
          history(model, 'Net out', usage.sent, { text: `${size(usage.sent.at(-1) ?? 0)}/s` }),
        ]),
    blank,
    ...(lines?.map((line) => plain(line)) ?? [plain('Reading …', styleOf(model.look, 'dim'))]),
  ]
}

function imageLines(model: Model, { machine, image, name }: ImageItem): readonly Line[] {
  const { look, page } = model
  const details = page.kind === 'details' ? page.details : undefined
  const facts = [
    fact(model, 'Image', name === '' ? '<none>' : name),
    fact(model, 'ID', image.id),
    fact(model, 'Machine', machine.machine.name),
    fact(model, 'Size', size(image.size)),
    ...(image.shared === undefined ? [] : [fact(model, 'Shared', size(image.shared))]),
    blank,
  ]
  if (details?.kind !== 'layers') {
    const [text = 'Reading …'] = details?.lines ?? []
    return [...facts, plain(text, styleOf(look, 'dim'))]
  }
  const { layers } = details
  const total = layers.reduce((sum, layer) => sum + layer.size, 0)
  return [
    ...facts,
    (canvas, y) => {
      canvas.put(1, y, 'Layers', styleOf(look, 'dim'))
      const width = Math.max(10, canvas.columns - labelWidth - 1)
      const parts = layers.map((layer) => layer.size)
      drawParts(canvas, look, { x: labelWidth, y, width, parts, total })
    },
    ...layers.map((layer, index): Line => (canvas, y) => {
      const tone = partTones[index % partTones.length] ?? 'plain'
      canvas.put(1, y, partGlyph(look, index % 4), styleOf(look, tone))
      canvas.put(3, y, size(layer.size).padStart(8))
      canvas.put(12, y, layer.shared ? 'shared' : '', styleOf(look, 'dim'))
      const text = fitCells(layer.text, canvas.columns - 19, look.unicode ? '…' : '~')
      canvas.put(19, y, text)
    }),
  ]
}

function stackLines(
  model: Model,
  { name, machine, state, containers }: StackModel,
): readonly Line[] {
  return [
    fact(model, 'Stack', name),
    fact(model, 'Machine', machine.machine.name),
    fact(model, 'State', state, state === 'running' ? 'good' : 'bad'),
    blank,
    ...containers.map((container): Line => {
      const usage = model.usage.get(usageKey(machine.machine.name, container.id))
      const figures = usage
        ? `${usage.stats.cpuPercent.toFixed(1)}%  ${size(usage.stats.memory.used)}`
        : ''
      return fact(
        model,
        fitCells(container.service || container.name, labelWidth - 2),
        `${container.name}  ${container.status}  ${figures}`,
        container.state === 'running' && container.health !== 'unhealthy' ? 'plain' : 'bad',
      )
    }),
  ]
}

/** Returns the line for a task: its name, its machine, its state and how long ago that changed, and its error. */
function taskLine(model: Model, row: TaskRow): Line {
  const since = Date.parse(row.since)
  const lasting = Number.isNaN(since) ? '' : age((model.now - since) / 1000)
  const isReplaced = row.desired !== 'running' && row.desired !== 'ready'
  const isBad = /^(?:failed|rejected|orphaned)$/.test(row.state)
  const tone = isBad ? 'bad' : isReplaced ? 'dim' : row.state === 'running' ? 'good' : 'warn'
  return (canvas, y) => {
    canvas.put(1, y, fitCells(row.task, 24), styleOf(model.look, isReplaced ? 'dim' : 'strong'))
    canvas.put(26, y, fitCells(row.machine ?? row.node ?? '', 14))
    canvas.put(41, y, `${row.state} ${lasting}`, styleOf(model.look, tone))
    canvas.put(58, y, row.error ?? '', styleOf(model.look, 'bad'))
  }
}

function serviceLines(model: Model, { swarm, service }: ServiceItem): readonly Line[] {
  const { look } = model
  const tasks = swarm.tasks?.service === service.id ? swarm.tasks.rows : undefined
  const { stack, update, ports } = service
  const updated = Date.parse(service.updatedAt)
  return [
    fact(model, 'State', stateOfService(service), toneOfService(service)),
    ...(swarm.reason === undefined ? [] : [fact(model, 'Reason', swarm.reason, 'bad')]),
    fact(model, 'Swarm', swarm.name),
    ...(stack === undefined ? [] : [fact(model, 'Stack', stack)]),
    fact(model, 'Mode', service.mode),
    fact(model, 'Tasks', `${service.running} of ${service.desired}`),
    fact(model, 'Image', shortImage(service.image)),
    ...(ports.length === 0 ? [] : [fact(model, 'Ports', ports.join(', '))]),
    ...(update === undefined ? [] : [fact(model, 'Update', update.replace('_', ' '))]),
    ...(Number.isNaN(updated)
      ? []
      : [fact(model, 'Changed', `${age((model.now - updated) / 1000)} ago`)]),
    blank,
    ...(tasks?.map((row) => taskLine(model, row)) ?? [plain('Reading …', styleOf(look, 'dim'))]),
  ]
}

const eventLines = ({ attributes, ...event }: TopEvent): readonly Line[] =>
  JSON.stringify(
    { ...event, time: new Date(event.time * 1000).toISOString(), attributes },
    (key, value: unknown) => (key === 'id' ? undefined : value),
    2,
  )
    .split('\n')
    .map((line) => plain(line))

function linesOf(model: Model, row: Row): readonly Line[] {
  switch (row.view.name) {
    case 'machines':
      return machineLines(model, row.id)
    case 'containers':
      return containerLines(model, row.item as ContainerItem)
    case 'images':
      return imageLines(model, row.item as ImageItem)
    case 'stacks':
      return stackLines(model, row.item as StackModel)
    case 'services':
      return serviceLines(model, row.item as ServiceItem)
    case 'events':
      return eventLines(row.item as TopEvent)
  }
}

const shownRow = (model: Model): Row | undefined => {
  const { page } = model
  return listOf(model).rows.find(({ id }) => page.kind === 'details' && id === page.of)
}

/** Returns all lines of the details. The window may show only some of them. */
export function detailsLines(model: Model): readonly Line[] {
  const row = shownRow(model)
  return row === undefined ? [plain('This item no longer exists.')] : linesOf(model, row)
}

/** Draws the details of a row. */
export function drawDetails(canvas: Canvas, model: Model, top: number): void {
  const row = shownRow(model)
  const subject = row === undefined ? '' : row.cell(0).text || row.id
  canvas.put(0, 0, ` Details: ${subject}`, styleOf(model.look, 'title'))
  const lines = detailsLines(model)
  const height = detailsHeight(model)
  const first = Math.max(0, Math.min(top, lines.length - height))
  for (const [offset, draw] of lines.slice(first, first + height).entries())
    draw(canvas, offset + 1)
}
