import { spawn } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const script = fileURLToPath(new URL('enter.sh', import.meta.url))

/**
 * Runs a command in an environment where a lab can be started, with this process's input and output, and resolves to
 * its exit code. Ctrl-C, SIGTERM, and even SIGKILL of this process kill everything that was started in the environment,
 * and remove its files. In the environment, the variable `FLEET_LAB_OUTSIDE` is the path of this computer's network
 * namespace (for nsenter --net).
 * @param {readonly string[]} command
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {Promise<number>}
 */
export function runInLab(command, env = process.env) {
  const folder = mkdtempSync(join(tmpdir(), 'fleet-lab-'))
  const child = spawn('/usr/bin/unshare', ['--mount', 'sh', script, folder, ...command], {
    env: { ...env, PATH: `${env['PATH'] ?? ''}:/usr/sbin:/sbin` }, // may be missing in root's own PATH
    detached: true, // a separate session: Ctrl-C reaches only this process
    stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
  })
  let signalled = 0
  const stop = (/** @type {NodeJS.Signals} */ _signal, /** @type {number} */ number) => {
    signalled = 128 + number
    child.stdio[3]?.destroy()
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, stop)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code) => {
      child.stdio[3]?.destroy()
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(signal, stop)
      resolve(signalled || (code ?? 1))
    })
  })
}
