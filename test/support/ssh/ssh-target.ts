import type { SshTarget } from '../../../src/transport/ssh/connect.ts'
import type { Lab, LabHost } from '../lab/lab.ts'

/** Returns the target for a login to a lab host as root with the lab's key. */
export const targetOf = (lab: Lab, host: LabHost): SshTarget => ({
  machine: host.name,
  address: host.address,
  port: host.port,
  user: host.user,
  hostKeys: [host.hostKey],
  identityFiles: [lab.identity.file],
})

/** Returns the host with this number, counted from 1. */
export function hostOf(lab: Lab, number = 1): LabHost {
  const host = lab.hosts[number - 1]
  if (!host) throw new Error(`the lab has no host ${number}`)
  return host
}
