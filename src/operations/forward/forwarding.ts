import type { ForwardTarget } from '../../broker/protocol.ts'
import type { DialTarget } from '../../broker/server/forwards.ts'
import type { BrokerOptions } from '../../broker/server/server.ts'
import type { Dial } from '../../engine/engine.ts'

async function open(target: ForwardTarget, machine: string, dial: Dial): Promise<DialTarget> {
  const { openTarget } = await import('./dial-target.ts')
  const { openEngine } = await import('../../engine/http-engine.ts')
  return openTarget(target, openEngine(dial, { label: machine }))
}

/** The functions that a broker uses to forward ports. Their code is loaded when it is first needed. */
export const forwarding: BrokerOptions['forwarding'] = {
  async listen(...listening) {
    const { listenAndJoin } = await import('./listen-and-join.ts')
    return listenAndJoin(...listening)
  },
  openTarget(...forward) {
    const opening = open(...forward)
    opening.catch(() => {}) // the error is thrown when the target is used
    return async (transport) => (await opening)(transport)
  },
}
