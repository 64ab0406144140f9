import { once } from 'node:events'
import { type IncomingMessage, createServer, request } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { dirname, join } from 'node:path'
import type { LabHost } from '../lab/lab.ts'

/** The path of {@link serveAs}'s socket, as seen by the host. */
export const otherSocket = '/run/other.sock'

/** The API paths that report the architecture, each with the name of the field. */
const fields: Readonly<Record<string, string>> = { version: 'Arch', info: 'Architecture' }

/** Replaces the architecture in a response of the engine. */
async function replaceIn(answer: IncomingMessage, field: string, value: string): Promise<string> {
  const content = JSON.parse(await text(answer)) as Record<string, unknown>
  return JSON.stringify({ ...content, [field]: value })
}

/** Starts a proxy for the engine of a host at {@link otherSocket} that only changes the reported architecture. */
export async function serveAs(host: LabHost, architecture: string): Promise<AsyncDisposable> {
  const socketPath = host.engineSocket
  const server = createServer((asked, answer) => {
    const { method, url: path = '/', headers } = asked
    const sent = request({ socketPath, method, path, headers }, (got) => {
      const [, kind = ''] = /^(?:\/v[\d.]+)?\/(version|info)$/.exec(path) ?? []
      const field = fields[kind]
      if (field === undefined) {
        answer.writeHead(got.statusCode ?? 502, got.headers)
        got.pipe(answer)
        return
      }
      void replaceIn(got, field, architecture).then((body) => {
        const { 'content-length': _length, 'transfer-encoding': _encoding, ...rest } = got.headers
        answer.writeHead(got.statusCode ?? 502, rest)
        answer.end(body)
      })
    })
    sent.on('error', () => answer.destroy())
    asked.pipe(sent)
  })
  server.on('upgrade', ({ method, url, rawHeaders }, client, head) => {
    const engine = connect(socketPath, () => {
      const lines = rawHeaders.flatMap((name, index) =>
        index % 2 === 0 ? [`${name}: ${rawHeaders[index + 1]}`] : [],
      )
      engine.write([`${method} ${url} HTTP/1.1`, ...lines, '', ''].join('\r\n'))
      engine.write(head)
      engine.pipe(client).pipe(engine)
    })
    engine.on('error', () => client.destroy())
    client.on('error', () => engine.destroy())
  })
  server.listen(join(dirname(socketPath), 'other.sock'))
  await once(server, 'listening')
  return {
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
