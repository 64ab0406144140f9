import { once } from 'node:events'
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import ssh2 from 'ssh2'
import { makeKeyPair } from '../../../src/transport/ssh/keys/key-pair.ts'

/** What a host in an attacker's hands does. Whatever is absent it does as a host would whose engine has nothing. */
interface HostileBehaviour {
  /** Answers a request to its engine; the URL is without the version. */
  readonly engine?: (request: IncomingMessage, response: ServerResponse) => void
  /** What a keyboard-interactive login asks; without, everybody is let in. */
  readonly questions?: {
    readonly name?: string
    readonly instructions?: string
    readonly texts: readonly string[]
  }
  /** What a command prints on stderr before it fails. */
  readonly complaint?: string
  /** What a command that fleet reads prints, after the mark that fleet waits for. */
  readonly output?: (command: string) => string | Buffer
}

/** An SSH host on loopback that lets everybody in. */
export interface HostileHost extends AsyncDisposable {
  /** What it does from now on. */
  behave(behaviour: HostileBehaviour): void
  /** What was answered to its questions. */
  readonly answers: readonly string[]
  /** The machine's entry, under `name`. */
  entry(name: string): string
}

/** What node:http asks of a connection, and a channel of SSH does not have. */
const socketMethods = { setTimeout() {}, setKeepAlive() {}, setNoDelay() {}, ref() {}, unref() {} }

/** Starts the host. */
export async function startHostileHost(): Promise<HostileHost> {
  let behaviour: HostileBehaviour = {}
  const answers: string[] = []
  const { privateKey, publicKey } = makeKeyPair('host')
  const connections = new Set<Duplex>()

  const engine = createServer((request, response) => {
    request.url = request.url?.replace(/^\/v[\d.]+/, '') ?? ''
    response.setHeader('Api-Version', '1.41').setHeader('Content-Type', 'application/json')
    if (behaviour.engine) behaviour.engine(request, response)
    else response.end('[]')
  })

  const server = new ssh2.Server({ hostKeys: [privateKey] }, (client) => {
    client.on('error', () => {})
    client.on('authentication', (attempt) => {
      const { questions } = behaviour
      if (questions === undefined) {
        if (attempt.method === 'none') attempt.reject(['publickey'])
        else attempt.accept()
      } else if (attempt.method === 'keyboard-interactive') {
        const asked = questions.texts.map((prompt) => ({ prompt, echo: false }))
        attempt.prompt(asked, questions.name ?? '', questions.instructions ?? '', (given) => {
          answers.push(...given)
          attempt.accept()
        })
      } else attempt.reject(['keyboard-interactive'])
    })
    client.on('ready', () => {
      ;(client as unknown as NodeJS.EventEmitter).on(
        'openssh.streamlocal',
        (accept: () => Duplex) => {
          const channel = Object.assign(accept(), socketMethods)
          channel.on('error', () => {})
          engine.emit('connection', channel)
        },
      )
      client.on('session', (accept) => {
        accept().on('exec', (take, _refuse, { command }) => {
          const stream = take()
          stream.on('error', () => {})
          const [mark] = /fleet-[0-9a-f-]{36}/.exec(command) ?? []
          if (behaviour.output) stream.write(`a greeting\n${mark}\n`)
          if (behaviour.output) stream.write(behaviour.output(command))
          stream.stderr.write(behaviour.complaint ?? '')
          stream.exit(behaviour.complaint === undefined ? 0 : 1)
          stream.end()
        })
      })
    })
  })
  const sockets = server as unknown as NodeJS.EventEmitter
  sockets.on('connection', (_client: unknown, info: { socket?: Socket }) => {
    if (info.socket) connections.add(info.socket)
  })
  server.listen(0, '127.0.0.1')
  await once(sockets, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    behave: (next) => void (behaviour = next),
    answers,
    entry: (name) => `  ${name}:
    driver: ssh
    options: { address: 127.0.0.1, user: bob, port: ${port} }
    host:
      phase: ready
      address: 127.0.0.1
      port: ${port}
      user: bob
      hostKeys: [${JSON.stringify(publicKey)}]
`,
    async [Symbol.asyncDispose]() {
      for (const connection of connections) connection.destroy()
      engine.closeAllConnections()
      server.close()
    },
  }
}
