import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { serveRelay } from '../../../../src/transport/openssh/relay.ts'
import { makeGate } from '../../../support/deferred.ts'

/** Serves a relay and starts its helper process, as ssh does. */
async function startRelay(open: () => Promise<Duplex>) {
  const folder = await mkdtemp(join(tmpdir(), 'fleet-relay-'))
  const relay = await serveRelay(folder, open)
  const child = spawn('/bin/sh', ['-c', relay.proxyCommand.replaceAll('%%', '%')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await relay[Symbol.asyncDispose]()
    await rm(folder, { recursive: true })
  })
  return { relay, child }
}

describe.skipIf(process.platform === 'win32')('the relay of a connection for ssh', () => {
  test('ends if the connection fails, although ssh keeps its side open', async () => {
    const [asked, refused] = [makeGate(), makeGate()]
    const { relay, child } = await startRelay(async () => {
      asked.resolve()
      await refused.promise
      throw new TypeError('it was not refused')
    })
    child.stdin.write('SSH-2.0-test\r\n')
    await asked.promise
    await sleep(300) // until the data from ssh has arrived
    const failure = new Error('administratively prohibited')
    refused.reject(failure)
    await once(child, 'exit')
    expect(relay.failure()).toBe(failure)
  })

  test('passes on all data that the server sent before it closed the connection', async () => {
    const far = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
    const { child } = await startRelay(() => Promise.resolve(far))
    let received = 0
    child.stdout.on('data', (chunk: Buffer) => (received += chunk.length))
    far.push(Buffer.alloc(1_000_000))
    far.push(null)
    await once(child, 'close')
    expect(received).toBe(1_000_000)
  })
})
