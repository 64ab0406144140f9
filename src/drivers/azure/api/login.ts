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
import { execProgram } from '../../../os/exec-file.ts'
import { traceError } from '../../../os/trace.ts'
import type { Environment } from '../../../os/environment.ts'

/**
 * Chooses a login that needs no prompt: environment, workload identity, managed identity, or the session of `az`, Azure
 * PowerShell or `azd`. `FLEET_AZURE_LOGIN=device-code` logs in with a code that is reported as progress, and that the
 * user enters in a browser. Tokens stay in memory.
 */
export function chooseCredential(
  env: Environment,
  cloud: CloudName,
  tenant: string | undefined,
  call: Call,
): TokenCredential {
  const { authority } = clouds[cloud]
  const { httpClient, wrapCredential } = openLoginClient(env)
  const options = {
    httpClient,
    ...(cloud !== 'public' && { authorityHost: authority }),
    ...(tenant !== undefined && { tenantId: tenant }),
  }
  const how = env['FLEET_AZURE_LOGIN'] ?? 'default'
  if (how === 'default') {
    // If only a managed identity is requested, the SDK's default chain ignores all options.
    if (env['AZURE_TOKEN_CREDENTIALS']?.toLowerCase() === 'managedidentitycredential') {
      const clientId = env['AZURE_CLIENT_ID']
      return wrapCredential(
        new ManagedIdentityCredential({ ...options, ...(clientId && { clientId }) }),
      )
    }
    return wrapCredential(new DefaultAzureCredential({ ...options, processTimeoutInMs: 30_000 }))
  }
  if (how !== 'device-code') {
    throw new UserError('usage', `FLEET_AZURE_LOGIN=${how}: expected default or device-code`)
  }
  const userPromptCallback = ({ message }: { message: string }) =>
    call.progress('wait for the login', message)
  return wrapCredential(new DeviceCodeCredential({ ...options, userPromptCallback }))
}

/** Returns the default subscription of `az`, if `az` is installed and logged in. */
async function azSubscription(signal: AbortSignal): Promise<string | undefined> {
  try {
    // On Windows, az is a script, which requires a shell.
    const shell = process.platform === 'win32'
    const { stdout } = await execProgram('az', ['account', 'show', '--output', 'json'], {
      signal,
      shell,
      timeout: 30_000,
    })
    const { id } = JSON.parse(stdout) as { id?: unknown }
    return typeof id === 'string' ? id : undefined
  } catch (error) {
    traceError('azure', 'read the current subscription from the Azure CLI', error)
    signal.throwIfAborted()
    return undefined
  }
}

/**
 * Returns the subscription from the environment or, if none is set there, from `az`. Throws kind `usage` if there is
 * none.
 */
export async function findSubscription(env: Environment, signal: AbortSignal): Promise<string> {
  const found = env['AZURE_SUBSCRIPTION_ID'] || (await azSubscription(signal))
  if (found !== undefined) return found
  throw new UserError('usage', 'no Azure subscription is configured', {
    hint: 'use --subscription, set AZURE_SUBSCRIPTION_ID, or log in: az login',
  })
}
