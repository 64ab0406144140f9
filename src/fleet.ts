import type { Dial, Engine } from './engine/engine.ts'
import { UserError } from './errors.ts'
import type { Machine } from './machine/machine.ts'
import type { Context } from './operations/context.ts'
import type { InventoryStore } from './state/inventory.ts'
import type { Transport } from './transport/transport.ts'
import type { Io } from './ui/io.ts'

/** The real parts, for one command. Disposing closes every connection it opened. */
export interface Fleet extends Context, AsyncDisposable {}

/** Remembers what `make` gives for a key, so that concurrent callers share one. */
function shared<Key, Value>(
  make: (key: Key) => Promise<Value>,
): {
  get(key: Key): Promise<Value>
  all(): Promise<Value>[]
} {
  const made = new Map<Key, Promise<Value>>()
  return {
    get(key) {
      const known = made.get(key)
      if (known !== undefined) return known
      const value = make(key)
      made.set(key, value)
      return value
    },
    all: () => [...made.values()],
  }
}

/** Where the engine of a machine listens, on the machine. */
const engineSocketOf = (machine: Machine): string => machine.host?.socket ?? '/var/run/docker.sock'

/** What a record must have before its host can be reached. */
function hostOf(machine: Machine): NonNullable<Machine['host']> {
  if (machine.host?.phase === 'ready') return machine.host
  const state = machine.host === undefined ? 'is not created yet' : `is ${machine.host.phase}`
  throw new UserError('unreachable', `${machine.name} ${state}`, {
    machine: machine.name,
    hint: `fleet create ${machine.name}`,
  })
}
