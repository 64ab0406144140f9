import { randomUUID } from 'node:crypto'
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Call, CallLog } from './call-log.ts'
import { Ec2Error, writeError, writeStsError } from './ec2-error.ts'
import type { FaultEffect, FaultList } from './faults.ts'
import type { Answer } from '../moto/moto.ts'
import type { Parameters } from './query.ts'

/**
 * Called `before` each call is executed, and again `after` it is executed but before the response is sent. Returning
 * `drop` closes the connection; in the `before` phase, the call is not executed either. A test that kills the client in
 * the `before` phase must also return `drop`, because a call that has arrived is executed even if its client is gone.
 */
export type CallHook = (phase: 'before' | 'after', call: Call) => Hooked | Promise<Hooked>
type Hooked = 'drop' | undefined | void

/** A call with its HTTP request. */
export interface Request {
  readonly call: Call
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Dependencies of the server in front of moto. */
export interface FrontParts {
  readonly log: CallLog
  readonly faults: FaultList
  readonly hooks: ReadonlySet<CallHook>
  /** Throws the error for calls that are rejected regardless of their parameters. */
  readonly admit: (call: Call, date: string | undefined) => void
  /** The time of the service, in milliseconds. */
  readonly now: () => number
  readonly execute: (request: Request) => Promise<Answer>
}

/** Returns the service and region that a request was signed for (SigV4's credential scope). */
function scopeOf({ headers }: IncomingMessage): { service: string; region: string } {
  const scope = /Credential=[^/]*\/\d*\/([^/]*)\/([^/]*)\//.exec(headers.authorization ?? '')
  return { region: scope?.[1] ?? 'us-east-1', service: scope?.[2] ?? 'ec2' }
}

function parametersOf(request: IncomingMessage, body: string): Parameters {
  const target = request.headers['x-amz-target']
  if (typeof target === 'string') return { Action: target.split('.').at(-1) ?? target }
  return Object.fromEntries(new URLSearchParams(body))
}

const refuse = (error: Ec2Error, { service }: Call): Answer => {
  const write = service === 'ec2' ? writeError : writeStsError
  return { status: error.status, type: 'text/xml', body: write(error, randomUUID()) }
}

/** Resolves to the response to a call, or to the error. */
async function answer(parts: FrontParts, request: Request, fault: FaultEffect | undefined) {
  const { call } = request
  try {
    if (fault?.kind === 'error') throw new Ec2Error(fault.code, fault.message, fault.status)
    parts.admit(call, request.headers['x-amz-date'])
    const result = await parts.execute(request)
    call.executed = true
    return { result, outcome: 'ok' }
  } catch (error) {
    if (!(error instanceof Ec2Error)) throw error
    return { result: refuse(error, call), outcome: error.code }
  }
}

const send = (response: ServerResponse, { status, type, body }: Answer, now: number) => {
  response.writeHead(status, {
    ...{ 'content-type': type, 'x-amzn-requestid': randomUUID() },
    date: new Date(now).toUTCString(),
  })
  response.end(body)
}

/** Handles a call. Returns the response, `undefined` to close the connection, or `hang` to send nothing. */
async function handle(parts: FrontParts, request: Request) {
  const { call } = request
  const runHooks = async (phase: 'before' | 'after') => {
    for (const hook of parts.hooks) if ((await hook(phase, call)) === 'drop') return true
    return false
  }
  call.outcome = 'lost'
  if (await runHooks('before')) return undefined
  const fault = parts.faults.take(call)
  if (fault?.kind === 'close') return undefined
  if (fault?.kind === 'hang' && !fault.executed) return 'hang'
  if (fault?.kind === 'status') {
    call.outcome = String(fault.status)
    return { status: fault.status, type: 'text/html', body: '<html>out of order</html>' }
  }
  if (fault?.kind === 'delay') await sleep(fault.ms)
  const { result, outcome } = await answer(parts, request, fault)
  if (await runHooks('after')) return undefined
  if (fault?.kind === 'lose') return undefined
  if (fault?.kind === 'hang') return 'hang'
  call.outcome = outcome
  return result
}

async function serve(parts: FrontParts, incoming: IncomingMessage, response: ServerResponse) {
  const body = await text(incoming)
  const { service, region } = scopeOf(incoming)
  const call = parts.log.add(service, region, parametersOf(incoming, body))
  const headers = Object.fromEntries(
    Object.entries(incoming.headers).filter(
      (entry): entry is [string, string] =>
        typeof entry[1] === 'string' &&
        !['host', 'connection', 'content-length', 'expect'].includes(entry[0]),
    ),
  )
  const result = await handle(parts, { call, headers, body })
  if (result === undefined) incoming.socket.destroy()
  else if (result !== 'hang') send(response, result, parts.now())
}

/** Starts the server in front of moto, on loopback. */
export async function startFront(
  parts: FrontParts,
  onFailure: (error: unknown) => void,
): Promise<{ readonly server: Server; readonly url: string }> {
  const server = createServer((incoming, response) => {
    serve(parts, incoming, response).catch((error: unknown) => {
      onFailure(error)
      incoming.socket.destroy()
    })
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  return { server, url: `http://127.0.0.1:${port}` }
}
