import type { Engine } from '../../engine/engine.ts'
import { writeJson } from '../../ui/table.ts'
import { type Command, type Completes, defineCommand, several } from '../command.ts'
import { placeNames } from './references.ts'
import { askEngines } from '../multi/query-engines.ts'

type Inspect = (engine: Engine, name: string, signal: AbortSignal) => Promise<object>

/** The kinds of objects that can be inspected, and how their names are completed. */
const completions = {
  containers: 'container',
  images: 'image',
  volumes: 'volume',
  networks: 'network',
} as const satisfies Readonly<Record<string, Completes>>

/** Prints the details of objects as one JSON array; with several machines, each item names its machine. */
const inspectCommand = (what: keyof typeof completions, load: () => Promise<Inspect>): Command =>
  defineCommand({
    name: 'inspect',
    summary: `Print ${completions[what]} details as JSON`,
    arguments: {
      names: several(
        'names',
        `${completions[what]} ${what === 'volumes' ? 'names' : 'names or IDs'}`,
        completions[what],
      ),
    },
    targets: 'many',
    gathers: true,
    answers: 'json',
    async run({ args, ...invocation }) {
      const inspect = await load()
      const { targets, namesOn } =
        what === 'images'
          ? { targets: invocation.targets, namesOn: () => args.names }
          : await placeNames(invocation, args.names)
      const { answers, many, reportFailures } = await askEngines(
        { ...invocation, targets },
        (engine, signal, machine) =>
          Promise.all(namesOn(machine).map((name) => inspect(engine, name, signal))),
      )
      const found = answers.flatMap(({ machine, value }) =>
        value.map((details) => (many ? { machine, ...details } : details)),
      )
      writeJson(invocation.io, found)
      return reportFailures()
    },
  })

export const inspectContainers = inspectCommand('containers', async () => {
  const { inspectContainer } = await import('../../engine/containers.ts')
  return (engine, name, signal) => inspectContainer(engine, name, { signal })
})

export const inspectImages = inspectCommand(
  'images',
  async () => (await import('../../engine/images.ts')).inspectImage,
)

export const inspectVolumes = inspectCommand(
  'volumes',
  async () => (await import('../../engine/volumes.ts')).inspectVolume,
)

export const inspectNetworks = inspectCommand(
  'networks',
  async () => (await import('../../engine/networks.ts')).inspectNetwork,
)
