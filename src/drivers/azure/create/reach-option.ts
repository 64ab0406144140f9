import { UserError, messageOf } from '../../../errors.ts'
import type { Environment } from '../../../os/environment.ts'
import { execProgram } from '../../../os/exec-file.ts'
import { findProgram } from '../../../os/find-program.ts'
import { traceError } from '../../../os/trace.ts'
import type { AzureOptions } from '../options.ts'
import { install } from '../tunnel.ts'

/** Timeout for finding the extension with the Azure CLI, in milliseconds: the CLI takes seconds to start. */
const extensionTimeoutMs = 60_000

const missing = (what: string, hint: string): UserError =>
  new UserError('unsupported', `--reach bastion requires ${what}`, { hint })

/**
 * Throws kind `unsupported` if this computer lacks a program required for connections to the host. Called before the
 * host exists and costs money.
 */
export async function checkPrograms(
  { reach = 'direct' }: Pick<AzureOptions, 'reach'>,
  env: Environment,
  signal: AbortSignal,
): Promise<void> {
  if (reach === 'direct') return
  if (process.platform === 'win32') {
    throw missing('Linux or macOS on this computer', 'use a VPN, or a jump host (--via)')
  }
  if ((await findProgram('az', env)) === undefined) throw missing('the Azure CLI (az)', install.az)
  const words = ['extension', 'show', '--name', 'bastion', '--output', 'none']
  try {
    await execProgram('az', words, { env, signal, timeout: extensionTimeoutMs })
  } catch (error) {
    signal.throwIfAborted()
    traceError('azure', "find the Azure CLI's bastion extension", error)
    const { stderr = '' } = error as { stderr?: string }
    if (/not installed/.test(stderr)) {
      throw missing("the Azure CLI's bastion extension", install.extension)
    }
    throw missing(
      `the Azure CLI, but it failed: ${stderr.trim().split('\n').at(-1) || messageOf(error)}`,
      'to see the error: az extension show --name bastion',
    )
  }
}
