// Loaded before a program (node --import): kills the program with SIGKILL before or after its nth durable change to a
// file.
// FLEET_TEST_KILL_AT=before:3    if unset, changes are only counted
// FLEET_TEST_WRITES=FILE         a line is appended for each change
// Fleet changes files only by renaming, linking or removing them, so these three calls cover all changes.
import { appendFileSync } from 'node:fs'
import promises from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { basename } from 'node:path'

const [phase, number = '0'] = (process.env['FLEET_TEST_KILL_AT'] ?? '').split(':')
const log = process.env['FLEET_TEST_WRITES']
let count = 0

const die = () => process.kill(process.pid, 'SIGKILL')

/** Unused temporary files are not counted, nor are caches, which may be lost. */
const counts = (/** @type {unknown} */ target) => !/\.tmp$|\/inventories\//.test(String(target))

for (const name of /** @type {const} */ (['rename', 'symlink', 'rm'])) {
  const real = /** @type {(...args: unknown[]) => Promise<void>} */ (promises[name])
  const patched = async (/** @type {unknown[]} */ ...args) => {
    const target = name === 'rm' ? args[0] : args[1]
    if (!counts(target)) return real(...args)
    count += 1
    const isChosen = count === Number(number)
    if (log !== undefined) appendFileSync(log, `${name} ${basename(String(target))}\n`)
    if (isChosen && phase === 'before') die()
    const result = await real(...args)
    if (isChosen && phase === 'after') die()
    return result
  }
  Object.assign(promises, { [name]: patched })
}
syncBuiltinESMExports()
