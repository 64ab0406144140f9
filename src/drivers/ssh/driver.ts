import { userInfo } from 'node:os'
import { type Driver, unknownStatus } from '../driver.ts'

interface Options {
  readonly address: string
  readonly user?: string | undefined
  readonly port?: number | undefined
}

/** The driver for existing hosts. Everything that it knows about a host is in the options. */
export const sshDriver: Driver<Options> = {
  async locate(_name, { address, user, port }) {
    return {
      address,
      ...(port !== undefined && port !== 22 && { port }),
      user: user ?? userInfo().username,
    }
  },
  observe: async (hosts) => unknownStatus(hosts),
}
