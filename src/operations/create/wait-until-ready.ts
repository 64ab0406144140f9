import { createInterface } from 'node:readline'
import { UserError } from '../../errors.ts'
import { bootScriptLog } from '../../provision/cloud-init/boot-script.ts'
import {
  type CloudInitEnd,
  cloudInitScript,
  cloudInitWait,
  readCloudInit,
} from '../../provision/cloud-init/wait.ts'
import type { HostProbe } from '../../provision/host/probe.ts'
import { exitCodeOf } from '../../transport/exit-code.ts'
import type { Progress } from '../context.ts'
import { type ProbeTarget, probeHost } from '../adopt/probe-host.ts'

/**
 * Looks at a host once its first boot is over, telling meanwhile what cloud-init does. Throws kind `failed` when
 * that takes more than a quarter of an hour, or when it was to bring an engine and none answers; what else went wrong
 * in it is told and passed over. A host without cloud-init is looked at as it is.
 */
export async function waitUntilReady(target: ProbeTarget, progress: Progress): Promise<HostProbe> {
  const { probe, failure } = await waitForCloudInit(target, progress)
  if (failure !== undefined) throw failure
  return probe
}

/** As {@link waitUntilReady}, for who repairs a host: gives an engine that did not come as `failure`. */
export async function waitForCloudInit(
  target: ProbeTarget,
  progress: Progress,
): Promise<{ readonly probe: HostProbe; readonly failure?: UserError }> {
  progress('inspect the host')
  const probe = await probeHost(target)
  if (probe.cloudInit === 'absent') return { probe }
  const { machine } = target
  const running = probe.cloudInit === 'running'
  const end = await watchCloudInit(target, running, progress)
  if (end.late) {
    throw new UserError(
      'failed',
      `cloud-init is still running after ${cloudInitWait / 60} minutes`,
      {
        machine,
        hint: `fleet ssh ${machine} -- tail /var/log/cloud-init-output.log`,
      },
    )
  }
  const settled = running ? await probeHost(target) : probe
  if (end.errors.length === 0) return { probe: settled }
  const what = end.errors.map(describeError).join('; ')
  if (end.hasBootScript && settled.engine?.version === undefined) {
    const last = end.lines.map((line) => `\n  ${line}`).join('')
    const failure = new UserError(
      'failed',
      `the engine was not installed during the first boot: ${what}${last}`,
      {
        machine,
        hint: `install it: fleet provision ${machine}; full log: fleet ssh ${machine} -- cat ${bootScriptLog}`,
      },
    )
    return { probe: settled, failure }
  }
  if (running) progress(`cloud-init ended with errors: ${what}`)
  return { probe: settled }
}

/** `('scripts_user', RuntimeError('Runparts: …'))`, as Python writes a pair, in words. */
function describeError(error: string): string {
  const [, module, exception] = /^\('([\w-]+)', \w+\(['"](.*)['"],?\)\)$/.exec(error) ?? []
  return module === undefined ? error : `module ${module}: ${exception}`
}

/** Waits on the host, in one command, until cloud-init is over if it runs. */
async function watchCloudInit(
  { machine, transport, signal }: ProbeTarget,
  wait: boolean,
  progress: Progress,
): Promise<CloudInitEnd> {
  const running = await transport.exec(['sh', '-s', ...(wait ? ['wait'] : [])], { signal })
  running.stdin.on('error', () => {}) // the exit code tells
  running.stdin.end(cloudInitScript)
  running.stderr.resume()
  const tell = tellOfWaiting(progress)
  let end: CloudInitEnd | undefined
  const read = async () => {
    const lines = createInterface({ input: running.stdout, crlfDelay: Infinity })
    for await (const state of readCloudInit(lines)) {
      if ('end' in state) end = state.end
      else tell(state)
    }
  }
  const [status] = await Promise.all([running.exit, read()])
  if (end !== undefined && exitCodeOf(status) === 0) return end
  throw new UserError('failed', 'waiting for cloud-init was interrupted on the host', {
    machine,
    hint: 'run the same command again to continue',
  })
}

/** Tells which stage cloud-init is at, and what it printed last. */
function tellOfWaiting(progress: Progress) {
  let stage: string | undefined
  return (state: { readonly stage: string } | { readonly line: string }): void => {
    if ('stage' in state) stage = state.stage || undefined
    else {
      const parts = [stage, state.line || undefined].filter((part) => part !== undefined)
      progress('wait for cloud-init', parts.join(': ') || undefined)
    }
  }
}
