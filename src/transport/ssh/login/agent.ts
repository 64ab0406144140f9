import { once } from 'node:events'
import { connect } from 'node:net'
import { type PublicKey, readPublicKey } from './key.ts'
import { WireReader, wireString } from '../wire-format.ts'

/** A key, or a certificate, that the agent holds. */
export interface AgentKey extends PublicKey {
  readonly comment: string
  readonly sign: (data: Buffer, algorithm: string, signal: AbortSignal) => Promise<Buffer>
}

// The types of agent messages (draft-miller-ssh-agent).
const listKeys = 11
const keysListed = 12
const signData = 13
const dataSigned = 14

/** The flags that select the hash algorithm for an agent's RSA signature, keyed by the signature algorithm. */
const signFlags: Readonly<Record<string, number>> = { 'rsa-sha2-256': 2, 'rsa-sha2-512': 4 }

/** The maximum length of a response, in bytes. No agent sends more. */
const longestAnswer = 256 * 1024

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/**
 * Sends one request to the agent at `socket`, and resolves to the content of the response. Rejects if the response is
 * not of type `expected`.
 */
async function ask(
  socket: string,
  kind: number,
  content: Buffer,
  { expected, signal }: { expected: number; signal: AbortSignal },
): Promise<WireReader> {
  signal.throwIfAborted()
  const connection = connect({ path: socket })
  const abort = () => connection.destroy(signal.reason as Error)
  signal.addEventListener('abort', abort, { once: true })
  try {
    await once(connection, 'connect')
    connection.write(wireString(Buffer.concat([Buffer.from([kind]), content])))
    let answer = Buffer.alloc(0)
    for await (const chunk of connection) {
      answer = Buffer.concat([answer, chunk as Buffer])
      if (answer.length < 4) continue
      const length = answer.readUInt32BE(0)
      if (length > longestAnswer) throw new Error("the agent's response is too long")
      if (answer.length < 4 + length) continue
      if (answer[4] !== expected) throw new Error('the agent refused the operation')
      return new WireReader(answer.subarray(5, 4 + length))
    }
    signal.throwIfAborted()
    throw new Error('the agent closed the connection')
  } finally {
    signal.removeEventListener('abort', abort)
    connection.destroy()
  }
}

/** Reads the keys of the agent at `socket` (SSH_AUTH_SOCK). Rejects if no agent answers. */
export async function readAgent(socket: string, signal: AbortSignal): Promise<readonly AgentKey[]> {
  const answer = await ask(socket, listKeys, Buffer.alloc(0), { expected: keysListed, signal })
  return Array.from({ length: answer.number() }, () => {
    const key = readPublicKey(answer.string())
    return {
      ...key,
      comment: answer.text(),
      async sign(data, algorithm, wait) {
        const request = [wireString(key.blob), wireString(data), uint32(signFlags[algorithm] ?? 0)]
        const signed = await ask(socket, signData, Buffer.concat(request), {
          expected: dataSigned,
          signal: wait,
        })
        const signature = signed.string()
        if (new WireReader(signature).text() !== algorithm) {
          throw new Error(`the agent did not sign with ${algorithm}`)
        }
        return signature
      },
    }
  })
}
