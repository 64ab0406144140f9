import { requestRun } from '../../broker/client/request-run.ts'
import type { ServerMessage } from '../../broker/protocol.ts'
import { brokerFolder } from '../../broker/runtime-dir.ts'
import { locateHome } from '../../state/home/locate-home.ts'
import type { Invocation } from '../command.ts'
import type { FoundContainer } from './where.ts'

/** The options of `fleet where` that select the same machines. */
const selectionOf = ({ machine, on, retryFailed, timeoutMs }: Invocation['targets']): string[] => [
  ...(machine === undefined ? [] : ['--machine', machine]),
  ...on.flatMap((selector) => ['--on', selector]),
  ...(retryFailed ? ['--retry-failed'] : []),
  ...(timeoutMs === undefined ? [] : ['--timeout', String(timeoutMs / 1000)]),
]

/**
 * Searches for a container by running `fleet where` in the broker. With many machines, this is faster than querying
 * each of them through the broker. If no container is found, or a machine does not answer, resolves to undefined; this
 * process must then search itself.
 */
export async function searchInBroker(
  { fleet, io, targets }: Pick<Invocation, 'fleet' | 'io' | 'targets'>,
  name: string,
): Promise<readonly (FoundContainer & { readonly machine: string })[] | undefined> {
  const { env, cwd, program } = io
  const isOff = env['FLEET_BROKER'] === 'off' || process.platform === 'win32'
  if (program === undefined || isOff || fleet.hosted !== undefined) return undefined
  const home = locateHome(env)
  const inventory = fleet.inventoryFile === undefined ? [] : ['--inventory', fleet.inventoryFile]
  const accepted = await requestRun(brokerFolder(home, env), program.build, {
    argv: ['where', '--json', ...inventory, ...selectionOf(targets), '--', name],
    ...{ cwd, env: env['FLEET_HOME'] ? { ...env, FLEET_HOME: home } : env },
    ...{ stdin: { isTTY: false }, stdout: { isTTY: false }, stderr: { isTTY: false } },
  })
  if (accepted === undefined) return undefined
  const { wire } = accepted
  const output: Buffer[] = []
  const code = await new Promise<number | undefined>((resolve) => {
    wire.listen({
      bytes: (chunk) => void output.push(Buffer.from(chunk)),
      message(answer: ServerMessage) {
        if ('exit' in answer) resolve('code' in answer.exit ? answer.exit.code : undefined)
      },
      drained: () => resolve(undefined),
    })
  })
  wire.destroy()
  if (code !== 0) return undefined
  return JSON.parse(Buffer.concat(output).toString()) as (FoundContainer & { machine: string })[]
}
