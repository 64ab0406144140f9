import { readFile, realpath } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { codeOf } from '../../errors.ts'
import { isMachineName, type MachineName } from '../../machine/name.ts'
import { explainDiskError } from './disk-error.ts'
import { preparePrivateFolder } from './home.ts'
import { replaceFile } from '../../os/replace-file.ts'
import { ignored, traceError } from '../../os/trace.ts'

/** The machine that commands use if no machine is named: one per user and inventory, stored in home. */
export interface ActiveMachine {
  current(): Promise<MachineName | undefined>
  /** Activates `name` and remembers the previous machine. */
  use(name: MachineName): Promise<void>
  /** The machine that was active before the current one. */
  previous(): Promise<MachineName | undefined>
  /** Forgets `name` if it is the current or the previous machine. */
  drop(name: MachineName): Promise<void>
}

interface Choice {
  readonly current?: MachineName | undefined
  readonly previous?: MachineName | undefined
}

/** The user's choices of machines, keyed by the real path of the inventory. */
type Choices = ReadonlyMap<string, Choice>

const asName = (value: unknown): MachineName | undefined =>
  typeof value === 'string' && isMachineName(value) ? value : undefined

function parseChoices(text: string): Choices {
  try {
    const entries = Object.entries(JSON.parse(text) as Record<string, Record<string, unknown>>)
    return new Map(
      entries.map(([inventory, choice]) => [
        inventory,
        { current: asName(choice['current']), previous: asName(choice['previous']) },
      ]),
    )
  } catch (error) {
    traceError('state', 'read the active machine', error)
    // If the file is damaged, the user only has to run `fleet use` again.
    return new Map()
  }
}

async function readChoices(file: string): Promise<Choices> {
  try {
    return parseChoices(await readFile(file, 'utf8'))
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return new Map()
    throw explainDiskError(error, { kind: 'failed', operation: 'read', file })
  }
}

const without = (name: MachineName, kept?: MachineName): MachineName | undefined =>
  kept === name ? undefined : kept

/**
 * Opens the active machine of the inventory at `inventoryPath`, stored in `active.json` in home. Throws kind `failed`
 * if home cannot be read or written, and `locked` if other processes hold the lock for too long.
 */
export function openActive(home: string, inventoryPath: string): ActiveMachine {
  const file = join(home, 'active.json')
  const findKey = (): Promise<string> =>
    realpath(inventoryPath).catch(
      ignored('state', 'resolve the inventory path', resolve(inventoryPath)),
    )

  const read = async (): Promise<Choice> => (await readChoices(file)).get(await findKey()) ?? {}

  const change = async (decide: (choice: Choice) => Choice): Promise<void> => {
    await preparePrivateFolder(home)
    const key = await findKey()
    const { withLock } = await import('../../os/lock.ts') // not needed for reading
    try {
      await withLock(file, async () => {
        const choices = new Map(await readChoices(file))
        choices.set(key, decide(choices.get(key) ?? {}))
        const text = JSON.stringify(Object.fromEntries(choices), undefined, 2)
        await replaceFile(file, `${text}\n`, { mode: 0o600 })
      })
    } catch (error) {
      throw explainDiskError(error, { kind: 'failed', operation: 'write', file })
    }
  }

  return {
    current: async () => (await read()).current,
    previous: async () => (await read()).previous,
    use: (name) =>
      change(({ current, previous }) =>
        current === name ? { current, previous } : { current: name, previous: current ?? previous },
      ),
    drop: async (name) => {
      const { current, previous } = await read()
      if (current !== name && previous !== name) return
      await change((choice) => ({
        current: without(name, choice.current),
        previous: without(name, choice.previous),
      }))
    },
  }
}
