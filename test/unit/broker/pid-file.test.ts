import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { findProcess } from '../../../src/operations/connect/running-processes.ts'
import { openBrokerClient } from '../../../src/broker/client/client.ts'
import { stopHint, writePidFile, openHangCheck } from '../../../src/broker/server/pid-file.ts'
import { until } from '../../support/lab/process.ts'

/** Starts a process and records it as the broker of a new directory. The default program is suspended with SIGSTOP. */
async function hang(since?: string, program?: readonly string[]) {
  const folder = await mkdtemp(join(tmpdir(), 'hung-'))
  const [file = '', ...args] = program ?? ['sleep', '1000']
  const child = spawn(file, args, { stdio: 'ignore' })
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  })
  await once(child, 'spawn')
  if (program === undefined) {
    child.kill('SIGSTOP')
    const hasStopped = async () => (await findProcess(child.pid ?? 0))?.state === 'T' || undefined
    if (process.platform === 'linux') await until('the stop', hasStopped) // slow on a busy machine
  }
  const found = await findProcess(child.pid ?? 0)
  await writePidFile(folder, { pid: child.pid ?? 0, since: since ?? found?.since })
  return { folder, child, exit: once(child, 'exit') }
}

describe.skipIf(process.platform === 'win32')('a broker that hangs', () => {
  test('is killed if its process is stopped', async () => {
    const { folder, exit } = await hang()
    expect(await openHangCheck(folder, Date.now() + 1000, findProcess)()).toBe('gone')
    expect(await exit).toEqual([null, 'SIGKILL'])
  })

  test('is killed if its process only sleeps', async () => {
    const { folder, child, exit } = await hang(undefined, ['sleep', '1000'])
    await expect.poll(async () => (await findProcess(child.pid ?? 0))?.state).toBe('S')
    expect(await openHangCheck(folder, Date.now() + 1000, findProcess)()).toBe('gone')
    expect(await exit).toEqual([null, 'SIGKILL'])
  })

  test('is kept while it makes progress, and killed once it has used too much processor time', async () => {
    const { folder, child, exit } = await hang(undefined, [process.execPath, '-e', 'for (;;);'])
    let more = 0
    const judge = openHangCheck(folder, Date.now() + 1000, async (pid) => {
      const found = await findProcess(pid)
      return found && { ...found, processorMs: found.processorMs + more }
    })
    expect(await judge()).toBe('works')
    expect(await judge()).toBe('works')
    expect(child.signalCode).toBe(null)
    more = 60_000
    expect(await judge()).toBe('gone')
    expect(await exit).toEqual([null, 'SIGKILL'])
  })

  test('is kept if it was started after the broker that did not respond', async () => {
    const { folder, child } = await hang()
    await utimes(join(folder, 'broker.json'), new Date(), new Date(Date.now() + 60_000))
    expect(await openHangCheck(folder, Date.now(), findProcess)()).toBe('gone')
    expect(child.signalCode).toBe(null)
  })

  test('is not confused with another process that has the same process ID', async () => {
    const { folder, child } = await hang('another start')
    expect(await openHangCheck(folder, Date.now() + 1000, findProcess)()).toBe('unknown')
    expect(child.signalCode).toBe(null)
    expect(await stopHint(folder)).toContain(`kill ${child.pid}`)
  })

  test('is not killed if there is no PID file', async () => {
    const { folder } = await hang()
    await rm(join(folder, 'broker.json'))
    expect(await openHangCheck(folder, Date.now() + 1000, findProcess)()).toBe('unknown')
  })
})

test.skipIf(process.platform === 'win32')(
  'names a broker directory that other users can write to, and the mode that it must have',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hung-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    await chmod(folder, 0o777)
    const broker = openBrokerClient({
      folder,
      build: 'this',
      program: 'none.js',
      env: {},
      findProcess,
    })
    for (const ask of [() => broker.status(), () => broker.stop()]) {
      await expect(ask()).rejects.toMatchObject({
        kind: 'failed',
        message: expect.stringContaining(folder),
        hint: expect.stringContaining('0700'),
      })
    }
  },
)
