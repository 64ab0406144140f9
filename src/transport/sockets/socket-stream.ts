import { Duplex } from 'node:stream'

/**
 * A stream that node:http can use like a socket. The socket methods that it calls have no effect, because the
 * underlying connection handles these aspects.
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
