import type { Engine } from '../../engine/engine.ts'
import { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { Context } from '../context.ts'
import { interleave } from './interleave.ts'

/** An item of one machine's stream, or the error that ended it; the other streams continue. */
export type Streamed<Value> = { readonly machine: Machine } & (
  | { readonly value: Value }
  | { readonly error: UserError }
)

/** Merges the streams of the engines of many machines as items arrive. Ends when all streams have ended. */
export async function* streamFromEngines<Value>(
  context: Context,
  machines: readonly Machine[],
  open: (engine: Engine, signal: AbortSignal) => AsyncIterable<Value>,
): AsyncGenerator<Streamed<Value>, void> {
  const left = new AbortController()
  const signal = AbortSignal.any([context.signal, left.signal])
  async function* follow(machine: Machine): AsyncGenerator<Streamed<Value>, void> {
    try {
      for await (const value of open(await context.engine(machine), signal)) {
        yield { machine, value }
      }
    } catch (error) {
      if (!(error instanceof UserError) || signal.aborted) throw error
      yield { machine, error }
    }
  }
  try {
    yield* interleave(machines.map(follow), context.signal)
  } finally {
    left.abort()
  }
}
