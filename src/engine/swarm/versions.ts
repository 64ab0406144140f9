import { UserError } from '../../errors.ts'
import { type Read, id, number, object, withDefault } from '../answer.ts'

/** The version of an object of a swarm: each update names the one that it changes (ObjectVersion). */
export interface Version {
  readonly Index: number
}

export const readVersion = object<Version>({ Index: withDefault(number, 0) })

/** An ID of an answer that is empty if there is none. */
export const idOrNone: Read<string | undefined> = (value, at) =>
  value === undefined || value === null || value === '' ? undefined : id(value, at)

/** How often an update is repeated when another one came in between. */
const maxUpdates = 10

/** Sends an update, and again if another one came in between; `send` reads the newest version each time. */
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
