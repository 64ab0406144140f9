import { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'
import type { Invocation, Targets } from '../command.ts'

type Asking = Pick<Invocation, 'fleet' | 'targets'>

/**
 * A container name that includes its machine, as printed by `fleet ps -q`: `web-1/3f2a9c`. For `cp`, a path follows it.
 */
const reference = /^(?<machine>[A-Za-z0-9][\w.-]*)\/(?<container>[A-Za-z0-9][\w.-]*(?::.*)?)$/s

/**
 * Returns the reference to an object on a machine: MACHINE/NAME, or only NAME if `machine` is undefined because the
 * machine was not chosen by a selector.
 */
export const referenceOf = (machine: string | undefined, name: string): string =>
  machine === undefined ? name : `${machine}/${name}`

/** Whether a word looks like a container name that includes its machine. */
export const isReference = (word: string): boolean => reference.test(word)

/** A container name, and the machine that the word includes. */
interface PlacedName {
  readonly machine: Machine
  readonly container: string
}

/**
 * Parses words that may include machines. A container name contains no slash, so what precedes the slash is a machine.
 */
async function placeEach(
  inventory: Inventory,
  words: readonly string[],
  mayBeOther: boolean,
): Promise<ReadonlyMap<string, PlacedName>> {
  const { findMachine } = await import('../../operations/inventory/choose-machines.ts')
  const placed = new Map<string, PlacedName>()
  for (const word of words) {
    const { machine: name, container } = reference.exec(word)?.groups ?? {}
    if (name === undefined || container === undefined) continue
    if (mayBeOther && !(inventory.machines as ReadonlyMap<string, Machine>).has(name)) continue
    placed.set(word, { machine: findMachine(inventory, name), container })
  }
  return placed
}

function checkAlone(
  { machine, on, retryFailed }: Targets,
  words: readonly string[],
  placed: ReadonlyMap<string, PlacedName>,
): void {
  const [first = ''] = placed.keys()
  if (machine !== undefined || on.length > 0 || retryFailed) {
    throw new UserError(
      'usage',
      `${first} already includes a machine name, so machines cannot be selected with options`,
      {
        hint: 'omit --machine, --on, --all and --retry-failed',
      },
    )
  }
  const other = words.find((word) => !placed.has(word))
  if (other === undefined) return
  throw new UserError(
    'usage',
    `${first} includes a machine name, but ${JSON.stringify(other)} does not`,
    {
      hint: `use MACHINE/${other}`,
    },
  )
}

/** Container names, grouped by machine. */
export interface PlacedNames {
  /** The chosen machines. */
  readonly targets: Targets
  /** Whether the container names include their machines. */
  readonly isPlaced: boolean
  /** Returns the container names for a machine. */
  readonly namesOn: (machine: string) => readonly string[]
}

/**
 * Parses container names, which may have the form MACHINE/CONTAINER. Throws kind `unknown-machine` for an unknown
 * machine, and kind `usage` if an option also selects machines, or if only some of the names include a machine.
 */
export async function placeNames(
  { fleet, targets }: Asking,
  names: readonly string[],
): Promise<PlacedNames> {
  if (!names.some(isReference)) return { targets, isPlaced: false, namesOn: () => names }
  const placed = await placeEach(await (await fleet.inventory()).read(), names, false)
  checkAlone(targets, names, placed)
  const machines = [...new Set([...placed.values()].map(({ machine }) => machine.name))]
  const [only] = machines
  return {
    targets: machines.length === 1 ? { ...targets, machine: only } : { ...targets, on: machines },
    isPlaced: true,
    namesOn: (name) =>
      [...placed.values()].flatMap(({ machine, container }) =>
        machine.name === name ? [container] : [],
      ),
  }
}

/**
 * Resolves to the docker command line for each machine that is included in the container names in `words`; undefined if
 * they include none. Throws as {@link placeNames} does.
 */
export async function placeWords(
  { fleet, targets }: Asking,
  words: readonly string[],
): Promise<ReadonlyMap<Machine, readonly string[]> | undefined> {
  const { readContainerNames } = await import('../../docker/container-names.ts')
  const command = readContainerNames(words)
  if (command === undefined || !command.names.some(isReference)) return undefined
  const inventory = await (await fleet.inventory()).read()
  const isAnything = command.verb === 'inspect' && !words.includes('container') // names may also refer to images
  const placed = await placeEach(inventory, command.names, isAnything)
  if (placed.size === 0) return undefined
  checkAlone(targets, command.names, placed)
  const machines = new Set([...placed.values()].map(({ machine }) => machine))
  if (command.verb === 'cp' && machines.size > 1) {
    throw new UserError('usage', 'docker cp cannot copy between machines', {
      hint: 'copy the files to this computer first, or use fleet cp to copy them directly',
    })
  }
  const wordsOn = (machine: Machine): readonly string[] =>
    command.rename((name) => {
      const found = placed.get(name)
      return found?.machine === machine ? found.container : undefined
    })
  return new Map([...machines].map((machine) => [machine, wordsOn(machine)]))
}
