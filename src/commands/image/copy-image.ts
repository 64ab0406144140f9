import { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { ImageCopy } from '../../operations/copy/copy-image.ts'
import { writeResults } from '../../ui/failure.ts'
import { humanSize } from '../../ui/human-units.ts'
import { openProgress } from '../../ui/progress/progress.ts'
import { writeJson } from '../../ui/table.ts'
import { defineCommand, required, several } from '../command.ts'

/** The default number of copies that run at the same time. */
const defaultConcurrency = 4

const summaryOf = ({ sent, layers, bytes }: ImageCopy): string =>
  sent === 0 && bytes === 0
    ? 'already present'
    : `${sent} of ${layers} layers sent, ${humanSize(bytes)}`

export const copyImageCommand = defineCommand({
  name: 'copy',
  summary: 'Copy an image from one machine to others',
  description:
    'Copy an image from one machine to others without a registry. The data passes through this computer; layers that a machine already has are not sent.',
  arguments: {
    image: required('image', 'image name or ID', 'image'),
    from: required('from', 'machine to copy from', 'machine'),
    to: several('to', 'machines to copy to', 'machine'),
  },
  answers: 'json',
  examples: ['fleet image copy app:2 build-1 web-1 web-2'],
  async run({ fleet, io, args, format }) {
    const { findMachine } = await import('../../operations/inventory/choose-machines.ts')
    const { copyImage } = await import('../../operations/copy/copy-image.ts')
    const { collectOutcomes } = await import('../../operations/fan-out/collect-outcomes.ts')
    const inventory = await (await fleet.inventory()).read()
    const from = findMachine(inventory, args.from)
    const targets = [...new Set(args.to)].map((name) => findMachine(inventory, name))
    if (targets.includes(from)) {
      throw new UserError('usage', `${from.name} is both the source and the target of the copy`)
    }
    const names = targets.map(({ name }) => name)
    const copyAll = async () => {
      using display = await openProgress(io, format, names)
      const copy = (to: Machine, signal: AbortSignal) =>
        display.track(to.name, (report) =>
          copyImage(fleet, { image: args.image, from, to, signal }, (step, bytes) =>
            report(step, bytes === undefined ? undefined : humanSize(bytes)),
          ),
        )
      return await collectOutcomes(fleet, targets, copy, { concurrency: defaultConcurrency })
    }
    const gathered = await copyAll()
    const copies = gathered.outcomes.flatMap((outcome) =>
      'value' in outcome ? [{ machine: outcome.machine.name, ...outcome.value }] : [],
    )
    if (format.json) writeJson(io, copies)
    else for (const copy of copies) io.stderr.write(`${copy.machine}: ${summaryOf(copy)}\n`)
    return writeResults(io, gathered, format)
  },
})
