import { UserError } from '../../errors.ts'
import { type Machine, requireHost } from '../../machine/machine.ts'
import { checkHostName } from '../../machine/ssh-config-text.ts'
import { findMachine } from '../inventory/choose-machines.ts'
import type { Context } from '../context.ts'
import { findAncestors } from '../connect/running-processes.ts'
import { type EnvironmentChange, type Shell, requireShell, shellOf } from './shells.ts'

/** Variables that would override or conflict with DOCKER_HOST. */
const conflictingVariables = [
  'DOCKER_CONTEXT',
  'DOCKER_TLS',
  'DOCKER_TLS_VERIFY',
  'DOCKER_CERT_PATH',
  'DOCKER_API_VERSION',
] as const

/** The variables that `fleet env` sets. */
const own = ['DOCKER_HOST', 'FLEET_MACHINE'] as const

/**
 * The shell to print commands for: the given shell, or else the shell that started fleet, or else the user's login
 * shell. Throws kind `usage` for an unknown shell.
 */
export async function chooseShell(named: string | undefined, env: Context['env']): Promise<Shell> {
  if (named !== undefined) return requireShell(named)
  for (const { name } of await findAncestors()) {
    const shell = shellOf(name)
    if (shell !== undefined) return shell
  }
  const usual = env['SHELL']
  if (usual) return requireShell(usual)
  return process.platform === 'win32' ? 'powershell' : 'bash'
}

/** NO_PROXY, in both spellings, with an additional address. */
function withoutProxy(address: string, env: Context['env']): Record<string, string> {
  const current = env['NO_PROXY'] ?? env['no_proxy'] ?? ''
  const names = current.split(',').map((name) => name.trim())
  const all = [...new Set([...names, address])].filter(Boolean).join(',')
  return { NO_PROXY: all, no_proxy: all }
}

/**
 * The environment in which docker, compose and other programs that read DOCKER_HOST use a machine. The socket exists
 * for the duration of the terminal session. Connects to the machine, so that errors are reported now. `bypassProxy`:
 * whether to add the machine to NO_PROXY.
 */
export async function describeEnvironment(
  context: Context,
  machine: Machine,
  { bypassProxy }: { bypassProxy: boolean },
): Promise<EnvironmentChange & { readonly set: { readonly DOCKER_HOST: string } }> {
  const { name } = machine
  const inventory = await context.inventory()
  const { address } = requireHost(machine)
  const holder = (await findAncestors()).at(-1)
  if (address !== undefined && holder === undefined) {
    throw new UserError('unsupported', "cannot find your shell's process", {
      hint: 'use a Docker context instead: fleet context sync',
    })
  }
  const { pid, since } = holder ?? { pid: process.pid, since: undefined }
  const keep = (one: Machine) => context.keepEngineSocket(one, { pid, since })
  await keep(machine)
  await context.connect(machine)
  const path = await keep(findMachine(await inventory.read(), name)) // connecting may have updated its address
  return {
    set: {
      DOCKER_HOST: `unix://${path}`,
      FLEET_MACHINE: name,
      ...(bypassProxy &&
        address !== undefined &&
        withoutProxy(checkHostName(name, 'address', address), context.env)),
    },
    unset: conflictingVariables.filter((variable) => context.env[variable] !== undefined),
  }
}

/** The change that removes the variables of {@link describeEnvironment}. */
export const clearedEnvironment: EnvironmentChange = { set: {}, unset: own }
