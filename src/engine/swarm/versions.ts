import { UserError } from '../../errors.ts'
import { type Read, id, number, object, withDefault } from '../answer.ts'

/** The version of a swarm object (ObjectVersion). Each update must name the version that it changes. */
export interface Version {
  readonly Index: number
}

export const readVersion = object<Version>({ Index: withDefault(number, 0) })

/** Parses an ID; undefined if it is missing, null or empty. */
export const idOrNone: Read<string | undefined> = (value, at) =>
  value === undefined || value === null || value === '' ? undefined : id(value, at)

/** How many times an update is attempted if other updates come first. */
const maxUpdates = 10

/** Sends an update, and retries if another update came first. `send` must read the newest version each time. */
export async function sendUpdate(send: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await send()
    } catch (error) {
      const isOutdated = error instanceof UserError && /out of sequence/.test(error.message)
      if (!isOutdated || attempt >= maxUpdates) throw error
    }
  }
}
