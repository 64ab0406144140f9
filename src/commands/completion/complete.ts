import { oneLine } from '../../ui/visible.ts'
import { inventoryIn } from '../options/common-options.ts'
import type { HostedFleet } from '../../app/connections.ts'
import { any, defineCommand } from '../command.ts'

export const complete = defineCommand({
  name: '__complete',
  summary: 'Print completions for the last word',
  arguments: { words: any('words', 'words after fleet; the last one is completed') },
  passesThrough: true,
  hidden: true,
  runsInBroker: ({ args }) => inventoryIn(args.words.slice(0, -1)) === undefined,
  run: async ({ fleet, io, args }) => {
    const { completeWords } = await import('./complete-line.ts')
    const inventory = inventoryIn(args.words.slice(0, -1))
    const { openFleet } = await import('../../app/fleet.ts')
    // Answers that arrive late are used at the next Tab, so in the broker, connections outlive this command.
    const { signal } = new AbortController()
    const own = openFleet({ ...io, signal }, inventory ?? fleet.inventoryFile, {
      hosted: fleet.hosted as HostedFleet | undefined,
    })
    try {
      for (const { word, description } of await completeWords(own, args.words)) {
        if (oneLine(word) !== word) continue // the shell would insert something else
        io.stdout.write(description === '' ? `${word}\n` : `${word}\t${oneLine(description)}\n`)
      }
    } finally {
      if (fleet.hosted === undefined) await own[Symbol.asyncDispose]()
      else {
        const { completionEnded } = await import('./container-and-image-names.ts')
        void completionEnded(own).then(async () => own[Symbol.asyncDispose]())
      }
    }
  },
})
