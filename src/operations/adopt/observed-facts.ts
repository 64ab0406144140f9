import type { HostRecord } from '../../machine/machine.ts'
import { defaultSocket, type HostProbe } from '../../provision/host/probe.ts'

/** What a record remembers of a look at the host. What was not seen is left out. */
export function observedFacts({
  os,
  arch,
  engine,
}: HostProbe): Pick<HostRecord, 'os' | 'arch' | 'engine' | 'socket'> {
  return {
    ...(engine !== undefined && engine.socket !== defaultSocket && { socket: engine.socket }),
    os: os.name,
    arch,
    ...(engine?.version !== undefined && { engine: engine.version }),
  }
}
