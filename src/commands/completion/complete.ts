import { any, defineCommand } from '../definition.ts'

/** The inventory that the words before the cursor name. */
function inventoryIn(words: readonly string[]): string | undefined {
  const index = words.lastIndexOf('--inventory', -3)
  const joined = words.findLast((word) => word.startsWith('--inventory='))
  return index >= 0 ? words[index + 1] : joined?.slice('--inventory='.length)
}

export const complete = defineCommand({
  name: '__complete',
  summary: 'Print what the last word can become',
  arguments: { words: any('words', 'the words after fleet, the last one unfinished') },
  passesThrough: true,
  hidden: true,
  run: async ({ io, args }) => {
    const { openFleet } = await import('../../fleet.ts')
    const { completeWords } = await import('./candidates.ts')
    await using fleet = openFleet(io, inventoryIn(args.words))
    for (const { word, description } of await completeWords(fleet, args.words)) {
      io.stdout.write(description === '' ? `${word}\n` : `${word}\t${description}\n`)
    }
  },
})
