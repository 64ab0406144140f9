import { once } from 'node:events'
import { type RequestListener, createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import ssh2, { type AuthContext, type ServerChannel } from 'ssh2'
import { makeKeyPair } from '../../../src/transport/ssh/login/key-pair.ts'

/** What an SSH server in this process does. */
interface Behaviour {
  /** The host key, in OpenSSH's format; a new one by default. */
  readonly privateKey?: string | undefined
  /** Accepts or rejects a login. */
  readonly login: (attempt: AuthContext) => void
  /** Runs a command; ends the channel. */
  readonly exec: (command: string, channel: ServerChannel) => void
  /** Answers a request to the engine; the URL is without the version. */
  readonly engine: RequestListener
}

/** An SSH server on loopback, in this process: needs no root, no sshd and no engine. */
export interface LoopbackSshd extends AsyncDisposable {
  readonly port: number
  /** `ssh-ed25519 AAAA…`. */
  readonly hostKey: string
}

/** What node:http asks of a connection, and a channel of SSH does not have. */
const socketMethods = { setTimeout() {}, setKeepAlive() {}, setNoDelay() {}, ref() {}, unref() {} }

/** Starts the server. Every Unix socket that a client forwards leads to the engine. */
export async function startLoopbackSshd({
  privateKey = makeKeyPair('host').privateKey,
  login,
  exec,
  engine: answer,
}: Behaviour): Promise<LoopbackSshd> {
  const parsed = ssh2.utils.parseKey(privateKey)
  if (parsed instanceof Error) throw parsed
  const publicKey = `${parsed.type} ${parsed.getPublicSSH().toString('base64')}`
  const connections = new Set<Duplex>()
  const engine = createServer((request, response) => {
    request.url = request.url?.replace(/^\/v[\d.]+/, '') ?? ''
    response.setHeader('Api-Version', '1.41').setHeader('Content-Type', 'application/json')
    answer(request, response)
  })
  const server = new ssh2.Server({ hostKeys: [privateKey] }, (client) => {
    client.on('error', () => {})
    client.on('authentication', login)
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
        const session = accept()
        session.on('exec', (take, _refuse, { command }) => {
          const channel = take()
          channel.on('error', () => {})
          exec(command, channel)
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
    port,
    hostKey: publicKey,
    async [Symbol.asyncDispose]() {
      for (const connection of connections) connection.destroy()
      engine.closeAllConnections()
      server.close()
    },
  }
}
