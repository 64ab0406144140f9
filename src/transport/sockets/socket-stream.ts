import { Duplex } from 'node:stream'

/**
 * A stream that node:http can use like a socket. The socket methods that node:http calls, such as `setTimeout`, have no
 * effect, because the underlying connection has its own settings.
 */
export abstract class SocketStream extends Duplex {
  constructor() {
    super({ allowHalfOpen: false }) // like net.connect
  }

  destroySoon(): void {
    if (this.writableFinished) this.destroy()
    else this.end(() => this.destroy())
  }

  setKeepAlive(): this {
    return this
  }
  setNoDelay(): this {
    return this
  }
  setTimeout(): this {
    return this
  }
  ref(): this {
    return this
  }
  unref(): this {
    return this
  }
}

/** The error for a socket that the host cannot or may not connect to. */
export interface RefusedError extends Error {
  readonly code: 'REFUSED'
}

/**
 * Creates the error that `Transport.dial` throws for a socket that cannot be opened on a reachable host; `why` is the
 * reason given by the host.
 */
export const refused = (why: string, cause?: unknown): RefusedError =>
  Object.assign(new Error(why, { cause }), { code: 'REFUSED' as const })
