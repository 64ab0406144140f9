import { type RequestOptions, get } from 'node:http'
import { connect } from 'node:net'

/** Resolves to whether a server's first bytes identify it as an SSH server (RFC 4253, section 4.2). */
export const answersSsh = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host, port })
    socket.setTimeout(1000, () => socket.destroy())
    socket.once('data', (bytes) => {
      resolve(bytes.toString('latin1').startsWith('SSH-'))
      socket.destroy()
    })
    socket.on('error', () => {})
    socket.once('close', () => resolve(false))
  })

/** Resolves to whether an HTTP server answers a request with status 200. */
export const answersHttp = (target: string | RequestOptions): Promise<boolean> =>
  new Promise((resolve) => {
    get(target, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    }).on('error', () => resolve(false))
  })

/** Resolves to whether a port accepts connections. */
export const answersTcp = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host, port })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
