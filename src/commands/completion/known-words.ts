import type { Fleet } from '../../app/fleet.ts'
import type { Completes } from '../command.ts'
import { completionScripts } from './scripts.ts'
import { ignored } from '../../os/trace.ts'

/** A word that could stand at the cursor. */
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

/** Stands for "a file name", which the shell completes by itself. */
export const files: Candidate = { word: ':files', description: '' }

const inventoryOf = async (fleet: Fleet) => (await fleet.inventory()).read()

/** Each text once, with what it is. */
const each = (texts: Iterable<string>, description: string): Candidate[] =>
  [...new Set(texts)].map((word) => ({ word, description }))

async function knownMachines(fleet: Fleet): Promise<Candidate[]> {
  const { machines } = await inventoryOf(fleet)
  return [...machines.values()].map(({ name, driver }) => ({ word: name, description: driver }))
}

/** Fleet's own, and those that machines of the inventory use besides; none of their code runs. */
async function knownDrivers(fleet: Fleet): Promise<Candidate[]> {
  const { drivers } = await import('../../drivers/index.ts')
  const own = drivers.map(({ name, summary }) => ({ word: name, description: summary }))
  const inventory = await inventoryOf(fleet).catch(ignored('completion', 'read the inventory'))
  const used = [...(inventory?.machines.values() ?? [])].map(({ driver }) => driver)
  const others = used.filter((name) => !own.some(({ word }) => word === name))
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

async function knownSelectors(fleet: Fleet): Promise<Candidate[]> {
  const machines = await knownMachines(fleet)
  const drivers = machines.map(({ description }) => `driver=${description}`)
  const all: Candidate = { word: 'all', description: 'every machine' }
  return [...machines, ...(await knownLabels(fleet)), ...each(drivers, 'driver'), all]
}

/** What stands for a place to copy from or to. A word that ends in a colon is not finished. */
const knownPlaces = async (fleet: Fleet): Promise<Candidate[]> =>
  (await knownMachines(fleet)).map((machine) => ({ ...machine, word: `${machine.word}:` }))

/** What fleet knows of what can stand there. */
export async function knownWords(
  { fleet, line }: Typed,
  completes: Completes,
): Promise<Candidate[]> {
  switch (completes) {
    case 'machine':
      return knownMachines(fleet)
    case 'selector':
      return knownSelectors(fleet)
    case 'place':
      return [
        ...(await knownPlaces(fleet).catch(ignored('completion', 'list the places', []))),
        files,
      ]
    case 'label':
      return knownLabels(fleet)
    case 'profile':
      return each((await inventoryOf(fleet)).profiles.keys(), 'profile')
    case 'operator':
      return each((await inventoryOf(fleet)).operators.keys(), 'operator')
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
    case 'image': {
      const { namesOnEngines } = await import('./engine-names.ts')
      return namesOnEngines(fleet, line, completes)
    }
    case 'file':
      return [files]
    case 'nothing':
      return []
  }
}
