import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { findProcess, isAlive } from '../../src/operations/processes.ts'
import { describeEnd, endHungBroker, noteBroker } from '../../src/transport/broker/hung.ts'

/** A process that neither answers nor heeds a signal, noted as the broker of a folder of its own. */
async function hang(since?: string) {
  const folder = await mkdtemp(join(tmpdir(), 'hung-'))
  const child = spawn('sleep', ['1000'], { stdio: 'ignore' })
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  })
  await once(child, 'spawn')
  child.kill('SIGSTOP')
  const found = await findProcess(child.pid ?? 0)
  await noteBroker(folder, { pid: child.pid ?? 0, since: since ?? found?.since })
  return { folder, child, exit: once(child, 'exit') }
}

describe.skipIf(process.platform === 'win32')('a broker that hangs', () => {
  test('is killed', async () => {
    const { folder, exit } = await hang()
    expect(await endHungBroker(folder, Date.now() + 1000, isAlive)).toBe(true)
    expect(await exit).toEqual([null, 'SIGKILL'])
  })

  test('is left alone where it was started after the one that was asked', async () => {
    const { folder, child } = await hang()
    await utimes(join(folder, 'broker.json'), new Date(), new Date(Date.now() + 60_000))
    expect(await endHungBroker(folder, Date.now(), isAlive)).toBe(true)
    expect(child.signalCode).toBe(null)
  })

  test('is not mistaken for another process of its number', async () => {
    const { folder, child } = await hang('another start')
    expect(await endHungBroker(folder, Date.now() + 1000, isAlive)).toBe(false)
    expect(child.signalCode).toBe(null)
    expect(await describeEnd(folder)).toContain(`kill ${child.pid}`)
  })

  test('is not to be ended where nothing tells which process it is', async () => {
    const { folder } = await hang()
    await rm(join(folder, 'broker.json'))
    expect(await endHungBroker(folder, Date.now() + 1000, isAlive)).toBe(false)
  })
})
