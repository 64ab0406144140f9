import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { LabHost } from './lab.ts'

/** A server that switches the hosts of a lab on and off. */
export interface LabPower extends Disposable {
  readonly port: number
}

/** Serves `POST /HOST/VERB` (`start`, `stop`, `restart`, `kill`, `state`); every response is `running` or `stopped`. */
export async function servePower(hosts: readonly LabHost[]): Promise<LabPower> {
  const off = new Set<string>()
  const verbs = {
    async start(host: LabHost) {
      await host.start()
      off.delete(host.name)
    },
    async stop(host: LabHost) {
      off.add(host.name)
      await host.stop()
    },
    async kill(host: LabHost) {
      off.add(host.name)
      await host.kill()
    },
    async restart(host: LabHost) {
      await host.stop()
      await host.start()
    },
    async state() {},
  }
  const server = createServer((request, response) => {
    const [, name, verb = ''] = (request.url ?? '').split('/')
    const host = hosts.find((one) => one.name === name)
    const work = Object.entries(verbs).find(([known]) => known === verb)?.[1]
    request.resume()
    if (host === undefined || work === undefined) response.writeHead(404).end()
    else {
      work(host).then(
        () => response.end(off.has(host.name) ? 'stopped' : 'running'),
        (error: unknown) => response.writeHead(500).end(String(error)),
      )
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    port,
    [Symbol.dispose]: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}

/** Returns the code of a driver that uses this server. */
export const labDriver = (port: number): string => `
import * as z from 'zod'
const ask = async ({ id }, verb) => {
  const answer = await fetch('http://127.0.0.1:${port}/' + id + '/' + verb, { method: 'POST' })
  const text = await answer.text()
  if (!answer.ok) throw new Error(text)
  return text
}
export default {
  contract: 2,
  name: 'lab',
  summary: 'hosts of a lab, for a test',
  options: z.strictObject({}),
  load: async () => ({
    observe: async (hosts) =>
      new Map(await Promise.all([...hosts].map(async ([name, host]) => [name, { state: await ask(host, 'state') }]))),
    lifecycle: {
      plan: async () => { throw new Error('no new hosts') },
      remove: async (host) => void (await ask(host, 'kill')),
      list: async () => [],
    },
    power: Object.fromEntries(
      ['start', 'stop', 'restart', 'kill'].map((verb) => [verb, async (host) => void (await ask(host, verb))]),
    ),
  }),
}
`
