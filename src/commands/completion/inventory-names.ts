import { isBuiltIn } from '../../drivers/driver-names.ts'
import type { Fleet } from '../../app/fleet.ts'
import type { Completes } from '../command.ts'
import { verbOf } from '../options/common-options.ts'
import { completionScripts } from './scripts.ts'
import { ignored } from '../../os/trace.ts'

/** A candidate for the completion of a word. */
export interface Candidate {
  readonly word: string
  readonly description: string
}

/** The command line so far. */
export interface Typed {
  readonly fleet: Fleet
  /** The words after `fleet`. */
  readonly line: readonly string[]
}

/** The candidate that makes the shell complete file names. */
export const files: Candidate = { word: ':files', description: '' }

const inventoryOf = async (fleet: Fleet) => (await fleet.inventory()).read()

/** Candidates with the same description, without duplicates. */
const each = (texts: Iterable<string>, description: string): Candidate[] =>
  [...new Set(texts)].map((word) => ({ word, description }))

async function knownMachines(fleet: Fleet): Promise<Candidate[]> {
  const { machines } = await inventoryOf(fleet)
  return [...machines.values()].map(({ name, driver }) => ({ word: name, description: driver }))
}

/**
 * Resolves to the built-in drivers and the other drivers that the inventory uses, without running the code of any
 * package.
 */
async function knownDrivers(fleet: Fleet): Promise<Candidate[]> {
  const { drivers } = await import('../../drivers/index.ts')
  const own = drivers.map(({ name, summary }) => ({ word: name, description: summary }))
  const inventory = await inventoryOf(fleet).catch(ignored('completion', 'read the inventory'))
  const used = [...(inventory?.machines.values() ?? [])].map(({ driver }) => driver)
  const others = used.filter((name) => !isBuiltIn(name))
  return [
    ...own,
    ...[...new Set(others)].map((word) => ({ word, description: `fleet-driver-${word}` })),
  ]
}

async function knownLabels(fleet: Fleet): Promise<Candidate[]> {
  const { machines } = await inventoryOf(fleet)
  const pairs = [...machines.values()].flatMap(({ labels = {} }) => Object.entries(labels))
  return each(
    pairs.map(([key, value]) => `${key}=${value}`),
    'label',
  )
}

/**
 * Completes the last term of a selector. If that term contains `!`, the candidates are terms that exclude machines. The
 * terms before the last comma are kept.
 */
async function knownSelectors({ fleet, line }: Typed): Promise<Candidate[]> {
  const machines = await knownMachines(fleet)
  const { machineStates } = await import('../../machine/selector.ts')
  const all: Candidate = { word: 'all', description: 'every machine' }
  const pairs = [
    ...(await knownLabels(fleet)),
    ...each(
      machines.map(({ description }) => `driver=${description}`),
      'driver',
    ),
    ...each(
      machineStates.map((state) => `state=${state}`),
      'state',
    ),
  ]
  const typed = (line.at(-1) ?? '').replace(/^--on=/, '')
  const [, before = '', current = ''] = /^(.*,)?([^,]*)$/s.exec(typed) ?? []
  const found = current.startsWith('!')
    ? machines.map(({ word, ...rest }) => ({ word: `!${word}`, ...rest }))
    : current.includes('!')
      ? pairs.map(({ word, ...rest }) => ({ word: word.replace('=', '!='), ...rest }))
      : [...machines, ...pairs, all]
  return found.map(({ word, ...rest }) => ({ word: `${before}${word}`, ...rest }))
}

/** Resolves to machine names as prefixes of paths: each ends with a colon, so that the shell adds no space after it. */
const knownPlaces = async (fleet: Fleet): Promise<Candidate[]> =>
  (await knownMachines(fleet)).map((machine) => ({ ...machine, word: `${machine.word}:` }))

const knownSwarms = async (fleet: Fleet): Promise<Candidate[]> =>
  each((await inventoryOf(fleet)).swarms.keys(), 'swarm')

/** Commands that accept the name of a swarm in place of a machine's name. */
const swarmVerbs = new Set(['docker', 'exec', 'logs', 'service', 'env', 'url', 'config'])

/**
 * Whether the command may take the name of a swarm. True if the verb has not been typed yet, because the command is not
 * known.
 */
function takesSwarms(line: readonly string[]): boolean {
  const verb = verbOf(line.slice(0, -1))
  return verb === undefined || swarmVerbs.has(verb)
}

/** Resolves to the candidates for a kind of word. */
export async function knownWords(
  { fleet, line }: Typed,
  completes: Completes,
): Promise<Candidate[]> {
  switch (completes) {
    case 'machine':
      return takesSwarms(line)
        ? [...(await knownMachines(fleet)), ...(await knownSwarms(fleet))]
        : knownMachines(fleet)
    case 'selector':
      return knownSelectors({ fleet, line })
    case 'place':
      return [
        ...(await knownPlaces(fleet).catch(ignored('completion', 'list the machines', []))),
        files,
      ]
    case 'label':
      return knownLabels(fleet)
    case 'profile':
      return each((await inventoryOf(fleet)).profiles.keys(), 'profile')
    case 'operator':
      return each((await inventoryOf(fleet)).operators.keys(), 'operator')
    case 'stack':
      return each((await inventoryOf(fleet)).stacks.keys(), 'stack')
    case 'swarm':
      return knownSwarms(fleet)
    case 'driver':
      return knownDrivers(fleet)
    case 'completed-shell':
      return each(Object.keys(completionScripts), 'shell')
    case 'shell': {
      const { shells } = await import('../../operations/docker/shells.ts')
      return each(shells, 'shell')
    }
    case 'set-name': {
      const { setsProfile } = await import('./known-settings.ts')
      return knownWords({ fleet, line }, setsProfile(line) ? 'profile' : 'machine')
    }
    case 'setting': {
      const { knownSettings } = await import('./known-settings.ts')
      return [...(await knownSettings(fleet, line))]
    }
    case 'container':
    case 'running-container':
    case 'stopped-container':
    case 'image':
    case 'volume':
    case 'network':
    case 'service': {
      const { namesOnEngines } = await import('./container-and-image-names.ts')
      return namesOnEngines(fleet, line, completes)
    }
    case 'forward': {
      const { forwardNames } = await import('./forward-names.ts')
      return forwardNames(fleet)
    }
    case 'forwarded-port': {
      const { forwardablePorts } = await import('./forward-names.ts')
      return forwardablePorts(fleet, line)
    }
    case 'file':
      return [files]
    case 'nothing':
      return []
  }
}
