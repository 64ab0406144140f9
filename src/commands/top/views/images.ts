import type { TopImage } from '../../../operations/top/updates.ts'
import type { MachineModel } from '../model/model.ts'
import { age, size } from './texts.ts'
import { defineView, machineColumn } from './view.ts'

/** A name of an image (or an image without a name), and its machine. */
export interface ImageItem {
  readonly machine: MachineModel
  readonly image: TopImage
  /** Empty for a dangling image. */
  readonly name: string
}

/**
 * The first character that is allowed in a reference to an image. An engine could report a name that looks like an
 * option of a command.
 */
const imageLike = /^\w/

const shortId = ({ id }: TopImage): string => id.replace(/^sha256:/, '').slice(0, 12)

const usedBy = ({ machine, image }: ImageItem): number =>
  (machine.containers ?? []).filter(({ imageId }) => imageId === image.id).length

const stateOf = (item: ImageItem): string => {
  if (usedBy(item) > 0) return 'used'
  return item.name === '' ? 'dangling' : 'unused'
}

export const imagesView = defineView<ImageItem>({
  name: 'images',
  groupings: ['none', 'machine'],
  items: ({ machines }) =>
    [...machines.values()].flatMap((machine) =>
      (machine.images ?? []).flatMap((image) =>
        (image.names.length === 0 ? [''] : image.names).map((name) => ({ machine, image, name })),
      ),
    ),
  id: ({ machine, image, name }) => `${machine.machine.name} ${image.id} ${name}`,
  machine: ({ machine }) => machine,
  stack: () => '',
  state: stateOf,
  text: (item) =>
    [item.name, shortId(item.image), item.machine.machine.name, stateOf(item)].join(' '),
  target: ({ machine, image, name }) => ({
    kind: 'image',
    machine: machine.machine.name,
    id: image.id,
    name: imageLike.test(name) ? name : image.id,
  }),
  columns: [
    {
      title: 'IMAGE',
      width: 16,
      grow: 3,
      value: ({ name }) => name,
      cell: ({ name }) =>
        name === '' ? { text: '<none>', tone: 'dim' } : { text: name, tone: 'strong' },
    },
    machineColumn,
    {
      title: 'STATE',
      width: 8,
      value: stateOf,
      cell(item) {
        const state = stateOf(item)
        return {
          text: state,
          tone: state === 'used' ? 'good' : state === 'unused' ? 'dim' : 'warn',
        }
      },
    },
    {
      title: 'USED BY',
      width: 7,
      right: true,
      drop: 3,
      value: usedBy,
      cell: (item) => ({ text: String(usedBy(item) || '') }),
    },
    {
      title: 'SIZE',
      width: 8,
      right: true,
      value: ({ image }) => image.size,
      cell: ({ image }) => ({ text: size(image.size) }),
    },
    {
      title: 'SHARED',
      width: 13,
      drop: 1,
      value: ({ image }) => image.shared ?? -1,
      cell: ({ image: { shared, size: all } }) =>
        shared === undefined
          ? { text: '' }
          : { text: size(shared).padStart(6), bar: all === 0 ? 0 : shared / all },
    },
    {
      title: 'AGE',
      width: 5,
      right: true,
      drop: 2,
      value: ({ image }) => image.created,
      cell: ({ image }, { now }) => ({ text: age(now / 1000 - image.created) }),
    },
    {
      title: 'ID',
      width: 12,
      drop: 4,
      value: ({ image }) => image.id,
      cell: ({ image }) => ({ text: shortId(image), tone: 'dim' }),
    },
  ],
})
