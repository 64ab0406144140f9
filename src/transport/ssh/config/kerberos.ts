import { userInfo } from 'node:os'
import { codeOf } from '../../../errors.ts'
import type { Environment } from '../../../os/environment.ts'
import { execProgram } from '../../../os/exec-file.ts'
import { exists } from './ask-ssh.ts'

/** How long `klist` may take, in milliseconds: a ticket cache can be a service that does not answer. */
const answerTimeoutMs = 5_000

/** Returns the file of the ticket cache; undefined for other kinds of cache (krb5.conf(5), default_ccache_name). */
function ticketFile(env: Environment): string | undefined {
  const name = env['KRB5CCNAME'] || `FILE:/tmp/krb5cc_${userInfo().uid}`
  if (name.startsWith('/')) return name
  return name.startsWith('FILE:') ? name.slice('FILE:'.length) : undefined
}

/** Whether the user has a Kerberos ticket that has not expired. */
export async function hasKerberosTicket(env: Environment): Promise<boolean> {
  try {
    await execProgram('klist', ['-s'], { env, timeout: answerTimeoutMs })
    return true
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') return false
    // The login to this computer may have obtained a ticket even if the Kerberos programs are not installed.
    const file = ticketFile(env)
    return file !== undefined && (await exists(file))
  }
}
