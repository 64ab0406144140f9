import { oneLine } from '../../ui/visible.ts'
import { inventoryIn } from '../options/common-options.ts'
import { any, defineCommand } from '../command.ts'

export const complete = defineCommand({
  name: '__complete',
  summary: 'Print completions of the last word',
  arguments: { words: any('words', 'words after fleet; the last one is completed') },
  passesThrough: true,
  hidden: true,
  runsInBroker: ({ args }) => inventoryIn(args.words.slice(0, -1)) === undefined,
  run: async ({ fleet, io, args }) => {
    const { completeWords } = await import('./candidates.ts')
    const inventory = inventoryIn(args.words.slice(0, -1))
    const { openFleet } = await import('../../app/fleet.ts')
    await using named = inventory === undefined ? undefined : openFleet(io, inventory)
    for (const { word, description } of await completeWords(named ?? fleet, args.words)) {
      if (oneLine(word) !== word) continue // the shell would insert something else
      io.stdout.write(description === '' ? `${word}\n` : `${word}\t${oneLine(description)}\n`)
    }
  },
})
