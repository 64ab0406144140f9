import { hostCommand } from '../../machine/host-command.ts'
import { createInterface } from 'node:readline'
import { UserError } from '../../errors.ts'
import { bootScriptLog } from '../../provision/cloud-init/boot-script.ts'
import {
  type CloudInitResult,
  cloudInitScript,
  cloudInitTimeout,
  readCloudInit,
} from '../../provision/cloud-init/wait.ts'
import type { HostProbe } from '../../provision/host/probe.ts'
import { exitCodeOf } from '../../transport/command.ts'
import type { Progress } from '../../os/progress.ts'
import { type ProbeTarget, probeHost } from '../adopt/probe-host.ts'

/**
 * Waits until the first boot of a host is complete, reports the progress of cloud-init, and then inspects the host.
 * Throws kind `failed` when the boot takes too long, or when cloud-init should have installed an engine but none
 * answers; other errors of cloud-init are only reported. A host without cloud-init is inspected immediately.
 */
export async function waitUntilReady(target: ProbeTarget, progress: Progress): Promise<HostProbe> {
  const { probe, failure } = await waitForCloudInit(target, progress)
  if (failure !== undefined) throw failure
  return probe
}

/** Like {@link waitUntilReady}, but returns a missing engine as `failure`, for callers that repair the host. */
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
  if (end.timedOut) {
    throw new UserError(
      'failed',
      `cloud-init is still running after ${cloudInitTimeout / 60} minutes`,
      {
        machine,
        hint: `to see the cloud-init log: ${hostCommand(machine, 'tail /var/log/cloud-init-output.log', { sudo: !probe.root })}`,
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
        hint: `to install the engine: fleet provision ${machine}; to see the full log: ${hostCommand(machine, `cat ${bootScriptLog}`)}`,
      },
    )
    return { probe: settled, failure }
  }
  if (running) progress(`cloud-init finished with errors: ${what}`)
  return { probe: settled }
}

/**
 * Formats an error of cloud-init, which is printed as a Python tuple: `('scripts_user', RuntimeError('Runparts: …'))`.
 */
function describeError(error: string): string {
  const [, module, exception] = /^\('([\w-]+)', \w+\(['"](.*)['"],?\)\)$/.exec(error) ?? []
  return module === undefined ? error : `module ${module}: ${exception}`
}

/** Waits for cloud-init to finish, with one command on the host. */
async function watchCloudInit(
  { machine, transport, signal }: ProbeTarget,
  wait: boolean,
  progress: Progress,
): Promise<CloudInitResult> {
  const running = await transport.exec(['sh', '-s', ...(wait ? ['wait'] : [])], { signal })
  running.stdin.on('error', () => {}) // the exit code reports a failure
  running.stdin.end(cloudInitScript)
  running.stderr.resume()
  const report = reportWaiting(progress)
  let end: CloudInitResult | undefined
  const read = async () => {
    const lines = createInterface({ input: running.stdout, crlfDelay: Infinity })
    for await (const state of readCloudInit(lines)) {
      if ('result' in state) end = state.result
      else report(state)
    }
  }
  const [status] = await Promise.all([running.exit, read()])
  if (end !== undefined && exitCodeOf(status) === 0) return end
  throw new UserError('failed', 'the wait for cloud-init was interrupted on the host', {
    machine,
    hint: 'run the command again to continue',
  })
}

/** Reports the current stage of cloud-init and the last line of its output. */
function reportWaiting(progress: Progress) {
  let stage: string | undefined
  return (state: { readonly stage: string } | { readonly line: string }): void => {
    if ('stage' in state) stage = state.stage || undefined
    else {
      const parts = [stage, state.line || undefined].filter((part) => part !== undefined)
      progress('wait for cloud-init', parts.join(': ') || undefined)
    }
  }
}
