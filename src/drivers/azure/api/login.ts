import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import {
  DefaultAzureCredential,
  DeviceCodeCredential,
  ManagedIdentityCredential,
  type TokenCredential,
} from '@azure/identity'
import { UserError } from '../../../errors.ts'
import type { Call } from '../../driver.ts'
import { type CloudName, clouds } from './clouds.ts'
import { openLoginClient } from './login-client.ts'
import { traceError } from '../../../os/trace.ts'

/** Environment variables, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Logs in without asking: by the environment, a workload identity, a managed identity, the session of `az`, of
 * Azure PowerShell or of `azd`, whichever there is. `FLEET_AZURE_LOGIN=device-code` logs in by a code to
 * type into a browser, which is told as progress. The token stays in memory.
 */
export function chooseCredential(
  env: Environment,
  cloud: CloudName,
  tenant: string | undefined,
  call: Call,
): TokenCredential {
  const { authority } = clouds[cloud]
  const { httpClient, telling } = openLoginClient(env)
  const options = {
    httpClient,
    ...(cloud !== 'public' && { authorityHost: authority }),
    ...(tenant !== undefined && { tenantId: tenant }),
  }
  const how = env['FLEET_AZURE_LOGIN'] ?? 'default'
  if (how === 'default') {
    // Asked for a managed identity alone, the SDK's chain would take none of the options along.
    if (env['AZURE_TOKEN_CREDENTIALS']?.toLowerCase() === 'managedidentitycredential') {
      const clientId = env['AZURE_CLIENT_ID']
      return telling(new ManagedIdentityCredential({ ...options, ...(clientId && { clientId }) }))
    }
    return telling(new DefaultAzureCredential({ ...options, processTimeoutInMs: 30_000 }))
  }
  if (how !== 'device-code') {
    throw new UserError('usage', `FLEET_AZURE_LOGIN=${how}: expected default or device-code`)
  }
  const userPromptCallback = ({ message }: { message: string }) =>
    call.progress('wait for login', message)
  return telling(new DeviceCodeCredential({ ...options, userPromptCallback }))
}

const run = promisify(execFile)

/** The subscription that `az` works in, if it is there and logged in. */
async function defaultOfAz(signal: AbortSignal): Promise<string | undefined> {
  try {
    // On Windows az is a script, which only a shell starts.
    const shell = process.platform === 'win32'
    const { stdout } = await run('az', ['account', 'show', '--output', 'json'], {
      signal,
      shell,
      timeout: 30_000,
    })
    const { id } = JSON.parse(stdout) as { id?: unknown }
    return typeof id === 'string' ? id : undefined
  } catch (error) {
    traceError('azure', 'get a login', error)
    signal.throwIfAborted()
    return undefined
  }
}

/** The subscription to work in where no option says: of the environment, then of `az`. Throws kind `usage`. */
export async function findSubscription(env: Environment, signal: AbortSignal): Promise<string> {
  const found = env['AZURE_SUBSCRIPTION_ID'] || (await defaultOfAz(signal))
  if (found !== undefined) return found
  throw new UserError('usage', 'no Azure subscription is configured', {
    hint: 'use --subscription, set AZURE_SUBSCRIPTION_ID, or log in: az login',
  })
}
