import { UserError } from '../../errors.ts'
import type { Io } from '../../ui/io.ts'

/** The maximum length of a secret, in characters. */
const longestSecret = 1 << 16

/** Reads a secret from standard input, without the trailing newline. `what`: the name of the secret in messages. */
export async function readSecret({ stdin }: Io, what: string): Promise<string> {
  let input = ''
  for await (const chunk of stdin as AsyncIterable<Buffer | string>) {
    input += chunk.toString()
    if (input.length > longestSecret) throw new UserError('usage', `the ${what} is too long`)
  }
  return input.replace(/\r?\n$/, '')
}
