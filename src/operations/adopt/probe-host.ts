import { UserError } from '../../errors.ts'
import type { MachineName } from '../../machine/name.ts'
import { type HostProbe, parseHostProbe, probeScript } from '../../provision/host/probe.ts'
import { run } from '../../transport/run.ts'
import type { Transport } from '../../transport/transport.ts'

/** A host to inspect. */
export interface ProbeTarget {
  /** The name to use in messages. */
  readonly machine: MachineName
  readonly transport: Transport
  /** The engine socket, if it is known. */
  readonly socket: string | undefined
  readonly signal: AbortSignal
}

/** How long a host may print nothing during the inspection, in milliseconds. */
const silenceMs = 60_000

/**
 * Inspects a host with one command, which does not change the host. Throws kind `unsupported` if the host does not run
 * the command in a POSIX shell.
 */
export async function probeHost({
  machine,
  transport,
  socket,
  signal,
}: ProbeTarget): Promise<HostProbe> {
  const command = ['sh', '-s', ...(socket === undefined ? [] : [socket])]
  const { code, stdout, stderr } = await run(transport, command, {
    ...{ input: probeScript, signal },
    idleTimeoutMs: silenceMs,
  }).catch((error: unknown) => {
    if (!(error instanceof UserError) || error.machine !== undefined || signal.aborted) throw error
    throw new UserError(error.kind, error.message, { machine, hint: error.hint, cause: error })
  })
  const probe = parseHostProbe(stdout)
  if (code === 0 && probe.arch !== '') return probe
  const why = stderr.trim().split('\n').at(-1) || `the shell exited with code ${code}`
  throw new UserError('unsupported', `cannot inspect ${machine}: ${why}`, {
    machine,
    hint: 'the host must run Linux, and the user must be able to run sh',
  })
}
