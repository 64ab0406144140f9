import { UserError } from '../../errors.ts'
import { fingerprintKeyFile } from '../../transport/ssh/keys/key-fingerprint.ts'
import { shellQuote } from '../../os/shell-quote.ts'

/** The key files to try first: the one that a person named, if any. Throws kind `usage` when it holds no key. */
export async function namedIdentityFiles(file: string | undefined): Promise<readonly string[]> {
  if (file === undefined) return []
  if ((await fingerprintKeyFile(file)) !== undefined) return [file]
  throw new UserError('usage', `${file} has no private key that fleet can read`, {
    hint: `check the path and the file: ssh-keygen -lf ${shellQuote(file)}`,
  })
}
