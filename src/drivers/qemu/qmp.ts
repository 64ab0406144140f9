import { once } from 'node:events'
import { type Socket, connect } from 'node:net'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { UserError, codeOf } from '../../errors.ts'
import { isSocketFolder } from '../../os/socket-folder.ts'
import { retry } from '../../os/retry.ts'

/** Time limit of a command in milliseconds: saving a host's memory takes the longest. */
const commandTimeout = 5 * 60_000

/**
 * The error code that connect(2) returns on Linux while other connections are waiting for QEMU, which accepts one
 * connection at a time.
 */
const queueIsFull = 'EAGAIN'

/**
 * Whether QEMU is listening on its socket. QEMU stops listening when its process exits, even if the
 * socket file remains.
 */
export async function isListening(path: string): Promise<boolean> {
  if (!(await isSocketFolder(dirname(path)))) return false
  const socket = connect(path)
  try {
    await once(socket, 'connect')
    return true
  } catch (error) {
    return codeOf(error) === queueIsFull
  } finally {
    socket.destroy()
  }
}

interface QmpMessage {
  readonly return?: unknown
  readonly error?: { readonly desc: string }
  readonly event?: string
  readonly QMP?: unknown
}

async function* readMessages(socket: Socket): AsyncGenerator<QmpMessage> {
  for await (const line of createInterface({ input: socket })) yield JSON.parse(line) as QmpMessage
}

async function open(path: string, signal: AbortSignal): Promise<Socket> {
  await isSocketFolder(dirname(path)) // otherwise another user could impersonate QEMU
  const attempt = async (): Promise<Socket> => {
    const socket = connect(path)
    try {
      await once(socket, 'connect')
      return socket
    } catch (error) {
      socket.destroy()
      throw error
    }
  }
  return retry(attempt, {
    canRetry: (error) => codeOf(error) === queueIsFull,
    signal,
    pauseMs: 50,
  })
}

/**
 * Executes a command over QEMU's monitor (QEMU's "QMP Reference Manual") and returns the result; `undefined` if QEMU
 * exits without answering.
 */
export async function execute(
  path: string,
  command: string,
  signal: AbortSignal,
  args: Readonly<Record<string, unknown>> = {},
): Promise<unknown> {
  const limited = AbortSignal.any([signal, AbortSignal.timeout(commandTimeout)])
  const socket = await open(path, limited)
  const stop = (): void => void socket.destroy(new Error('stopped'))
  limited.addEventListener('abort', stop)
  try {
    let isReady = false
    for await (const { QMP, error, event, return: value } of readMessages(socket)) {
      if (QMP !== undefined) socket.write('{"execute":"qmp_capabilities"}\n')
      else if (error !== undefined)
        throw new UserError('failed', `QEMU cannot execute ${command}: ${error.desc}`)
      else if (event !== undefined) continue
      else if (isReady) return value
      else {
        isReady = true
        socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`)
      }
    }
    limited.throwIfAborted()
    return undefined
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    limited.removeEventListener('abort', stop)
    socket.destroy()
  }
}
