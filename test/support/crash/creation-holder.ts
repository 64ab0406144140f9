// A process that holds a creation for as long as it lives: HOME TOKEN. Prints a line once it does.
import { argv, stdout } from 'node:process'
import { openCreations } from '../../../src/state/home/creations.ts'

const [home = '', token = ''] = argv.slice(2)
setInterval(() => {}, 60_000)
await openCreations(home).withLock(token, 'web-1', () => {
  stdout.write('held\n')
  return new Promise<never>(() => {})
})
