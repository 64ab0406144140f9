import { humanSize } from '../../ui/human.ts'
import { withProgress } from '../../ui/progress.ts'
import { writeJson } from '../../ui/table.ts'
import { defineCommand, required } from '../definition.ts'

const placeHelp = 'a path here, or MACHINE:PATH'

export const cp = defineCommand({
  name: 'cp',
  summary: 'Copy files and folders to, from and between machines',
  description:
    'Copy a file or a folder, as cp -R does. What is copied appears under its name when all of it has arrived, or not at all.',
  arguments: {
    from: required('from', placeHelp, 'place'),
    to: required('to', placeHelp, 'place'),
  },
  answers: 'json',
  examples: [
    'fleet cp ./site web-1:/srv',
    'fleet cp web-1:/var/log/app.log .',
    'fleet cp web-1:/srv/site web-2:/srv/',
  ],
  async run({ fleet, io, args, format }) {
    const { copyFiles } = await import('../../operations/copy-files.ts')
    const { parsePlace } = await import('../../operations/place.ts')
    const inventory = await (await fleet.inventory()).read()
    const from = parsePlace(args.from, inventory, io)
    const to = parsePlace(args.to, inventory, io)
    const began = performance.now()
    let sent = 0
    await withProgress(io, format, `${args.from} to ${args.to}`, async (progress) => {
      progress('find the files')
      await copyFiles(fleet, from, to, (bytes) => {
        sent = bytes
        progress('copy', `${humanSize(bytes)} sent`)
      })
    })
    const seconds = (performance.now() - began) / 1000
    if (format.json) writeJson(io, { from: args.from, to: args.to, bytes: sent, seconds })
    else {
      const speed = `${humanSize(sent / seconds)}/s`
      io.stderr.write(`${humanSize(sent)} in ${seconds.toFixed(1)}s, ${speed}\n`)
    }
  },
})
