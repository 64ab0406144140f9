import { Duplex } from 'node:stream'

/**
 * A connection that behaves as Node.js sockets do, so that node:http can use it. What sockets have beside
 * and node:http calls is answered for by the connection that carries this one.
 */
export abstract class SocketStream extends Duplex {
  constructor() {
    super({ allowHalfOpen: false }) // as net.connect does
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
