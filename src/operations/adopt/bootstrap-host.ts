import { UserError } from '../../errors.ts'
import type { ReadyMachine } from '../../machine/machine.ts'
import type { HostProbe } from '../../provision/host/probe.ts'
import type { Transport } from '../../transport/transport.ts'
import { waitForSsh } from '../create/wait-for-ssh.ts'
import type { Context } from '../context.ts'
import type { Progress } from '../../os/progress.ts'
import { updateRecord } from '../inventory/update-record.ts'
import { addOperators, operatorsOf } from '../operators/install-operator-keys.ts'
import { observedFacts } from './observed-facts.ts'
import { settingsOf } from '../provision/prepare-settings.ts'
import { provisionHost } from '../provision/provision-host.ts'
import { replaceHostKey } from '../machine/replace-host-key.ts'
import { waitUntilReady } from '../create/wait-until-ready.ts'

/** A machine that is ready, and the result of probing its host. */
export interface ProbedMachine {
  readonly machine: ReadyMachine
  readonly probe: HostProbe
}

/**
 * The maximum number of connections to open: a host may restart during its first boot, for example for a new kernel.
 */
const mostConnections = 3

/**
 * Bootstraps a new host: waits for SSH and the first boot, installs or repairs the engine, and replaces the initial
 * host key, which the provider has seen, with one that the host generates. The machine is then ready.
 */
export async function bootstrapHost(
  context: Context,
  machine: ReadyMachine,
  progress: Progress,
): Promise<ProbedMachine> {
  const { name } = machine
  const token = machine.host.token ?? ''
  const { probe, hostKey } = await bootstrapWithRetry(context, machine, progress)
  const host = await updateRecord(context, name, token, (host) => ({
    ...host,
    ...observedFacts(probe),
    phase: 'ready',
    hostKeys: [hostKey],
  }))
  await context.creations().drop(token)
  return { machine: { ...machine, host }, probe }
}

interface BootstrapResult {
  readonly probe: HostProbe
  readonly hostKey: string
}

/** Bootstraps the host over one connection, and reconnects when the host restarts. */
async function bootstrapWithRetry(
  context: Context,
  machine: ReadyMachine,
  progress: Progress,
  connections = 1,
): Promise<BootstrapResult> {
  try {
    await using transport = await waitForSsh(context, machine, progress)
    return await bootstrapOver(context, machine, transport, progress)
  } catch (error) {
    const isLost = error instanceof UserError && error.kind === 'unreachable'
    if (!isLost || connections === mostConnections) throw error
  }
  const host = await updateRecord(context, machine.name, machine.host.token ?? '', (host) => host)
  return bootstrapWithRetry(context, { ...machine, host }, progress, connections + 1)
}

async function bootstrapOver(
  context: Context,
  machine: ReadyMachine,
  transport: Transport,
  progress: Progress,
): Promise<BootstrapResult> {
  const { name, engine, host } = machine
  const target = { machine: name, transport, socket: host.socket, signal: context.signal }
  const inventory = await (await context.inventory()).read()
  const operatorTarget = { fleet: inventory.id, machine, signal: context.signal }
  progress('install operator keys')
  await addOperators(transport, operatorTarget, operatorsOf(inventory, machine))
  const probe =
    engine === 'none'
      ? await waitUntilReady(target, progress)
      : (
          await provisionHost(
            target,
            engine,
            { progress, approve: async () => true },
            { settings: await settingsOf(context, machine), most: 'destructive' },
          )
        ).probe
  progress('replace the host key')
  const owner = { machine: name, signal: context.signal }
  const hostKey = await replaceHostKey(transport, owner, async (hostKeys) => {
    await updateRecord(context, name, host.token ?? '', (host) => ({
      ...host,
      hostKeys: [...hostKeys],
    }))
  })
  return { probe, hostKey }
}
