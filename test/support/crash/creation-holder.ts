// Holds the lock of a creation until it is killed, and prints a line once it has the lock. Arguments: HOME TOKEN.
import { argv, stdout } from 'node:process'
import { openCreations } from '../../../src/state/home/creations.ts'

const [home = '', token = ''] = argv.slice(2)
setInterval(() => {}, 60_000)
await openCreations(home).withLock(token, 'web-1', () => {
  stdout.write('held\n')
  return new Promise<never>(() => {})
})
