import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Engine } from '../../../src/engine/engine.ts'
import { openEngine } from '../../../src/engine/http-engine.ts'
import { dialEngine } from '../../../src/operations/connect/reach-engine.ts'
import { type LogSource, readLogs } from '../../../src/operations/fan-out/read-logs.ts'
import { connectSsh } from '../../../src/transport/ssh/connect.ts'
import type { Transport } from '../../../src/transport/transport.ts'
import { collect } from '../../support/collect.ts'
import type { Account } from '../../support/lab/accounts.ts'
import { type Lab, type LabHost, labIsHere, startLab } from '../../support/lab/lab.ts'

const never = new AbortController().signal

describe.skipIf(!labIsHere)('logs of containers on two hosts', () => {
  let lab: Lab
  let transports: Transport[]
  let engines: Engine[]

  const open = (host: LabHost, user: Account = 'root') => {
    const { name: machine, address, port, hostKey } = host
    const identityFiles = [lab.identity.file]
    const target = { machine, address, port, user, hostKeys: [hostKey], identityFiles }
    return connectSsh(target, { env: {} })
  }
  /** Returns the log of the container `container` on each host. */
  const sourcesOf = (container: string): LogSource[] =>
    lab.hosts.flatMap(({ name: machine }, index) =>
      engines.slice(index, index + 1).map((engine) => ({ machine, container, engine })),
    )

  beforeAll(async () => {
    lab = await startLab({ hosts: 2, engine: true, image: true })
    transports = await Promise.all(lab.hosts.map((host) => open(host)))
    engines = transports.map((transport, index) => {
      const label = `h${index + 1}`
      return openEngine(dialEngine(transport, '/var/run/docker.sock', label), { label })
    })
  })
  afterAll(async () => {
    await Promise.all([...engines, ...transports].map((part) => part[Symbol.asyncDispose]()))
    await lab?.[Symbol.asyncDispose]()
  })

  test('are merged by time, and a missing log is reported separately', async () => {
    const [first, second] = lab.hosts
    const script = 'seq 10; while [ ! -e /go ]; do sleep 0.01; done; seq 11 20'
    const half = 'until [ "$(docker logs timed | wc -l)" = 10 ]; do sleep 0.1; done'
    await first?.exec(`docker run -d --name timed bb:1 sh -c '${script}' && ${half}`)
    await second?.exec('docker run --name timed bb:1 seq 20')
    await first?.exec('docker exec timed touch /go && docker wait timed')
    const sources = [...sourcesOf('timed'), ...sourcesOf('nobody').slice(0, 1)]
    const entries = await collect(readLogs(sources, { signal: never }))
    expect(entries[0]).toMatchObject({
      machine: 'h1',
      container: 'nobody',
      error: { message: 'No such container: nobody' },
    })
    const lines = entries.flatMap((entry) => ('line' in entry ? [entry] : []))
    const times = lines.map(({ time }) => time)
    expect(times).toEqual(times.toSorted())
    for (const machine of ['h1', 'h2']) {
      const own = lines.filter((line) => line.machine === machine).map(({ line }) => line)
      expect(own).toEqual(Array.from({ length: 20 }, (_, index) => String(index + 1)))
    }
    const order = lines.map(({ machine }) => machine)
    expect(order.join('').replaceAll(/(h\d)\1+/g, '$1 ')).toBe('h1 h2 h1 ')
  })

  test('are followed as they are printed, until the loop is left', async () => {
    const script = 'echo up; while [ ! -e /go ]; do sleep 0.01; done; echo gone; sleep 1000'
    await Promise.all(
      lab.hosts.map((host) => host.exec(`docker run -d --name followed bb:1 sh -c '${script}'`)),
    )
    const seen: string[] = []
    for await (const entry of readLogs(sourcesOf('followed'), { follow: true, signal: never })) {
      seen.push('line' in entry ? `${entry.machine} ${entry.line}` : entry.error.message)
      if (seen.length === 2) await lab.hosts[1]?.exec('docker exec followed touch /go')
      if (seen.length === 3) await lab.hosts[0]?.exec('docker exec followed touch /go')
      if (seen.length === 4) break
    }
    expect(seen.slice(0, 2).toSorted()).toEqual(['h1 up', 'h2 up'])
    expect(seen.slice(2)).toEqual(['h2 gone', 'h1 gone'])
  })

  test('throw the reason of an abort', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    const following = collect(
      readLogs(sourcesOf('followed'), { follow: true, signal: controller.signal }),
    )
    setTimeout(() => controller.abort(reason), 100)
    await expect(following).rejects.toBe(reason)
  })

  test('are limited by the sessions of the SSH server if each needs one: the others are reported', async () => {
    const [host] = lab.hosts as [LabHost]
    const names = Array.from({ length: 10 }, (_, index) => `many-${index}`)
    const command = "bb:1 sh -c 'echo up; sleep 1000'"
    await host.exec(
      `for name in ${names.join(' ')}; do docker run -d --name $name ${command}; done`,
    )
    await using transport = await open(host, 'bob')
    const dial = dialEngine(transport, '/var/run/docker.sock', host.name)
    await using engine = openEngine(dial, { label: host.name })
    const sources = names.map((container) => ({ machine: host.name, container, engine }))
    const seen: string[] = []
    for await (const entry of readLogs(sources, { follow: true, signal: never })) {
      seen.push('line' in entry ? entry.line : entry.error.message)
      if (seen.length === names.length) break
    }
    const refusal = 'the SSH server does not allow more sessions on this connection'
    expect(seen).toEqual([...Array.from({ length: 8 }, () => 'up'), refusal, refusal])
  })
})
