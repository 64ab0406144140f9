import { type HostRecord, defaultSocket } from '../../machine/machine.ts'
import type { HostProbe } from '../../provision/host/probe.ts'

/** The facts from a probe that are recorded in the inventory. Unknown facts are omitted. */
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
