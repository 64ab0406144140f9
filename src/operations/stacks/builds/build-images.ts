import { readFile } from 'node:fs/promises'
import { imagesOf } from '../../../docker/dockerfile.ts'
import type { Engine } from '../../../engine/engine.ts'
import { findImage } from '../../../engine/images.ts'
import { readVersion } from '../../../engine/system.ts'
import { UserError } from '../../../errors.ts'
import type { Machine } from '../../../machine/machine.ts'
import { type Stack, machinesOf } from '../../../machine/stacks.ts'
import { ignored } from '../../../os/trace.ts'
import type { CommandResult } from '../../../transport/run.ts'
import { type HostMirror, mirrorAt, shipFiles } from '../../compose/host-mirror.ts'
import { type LocalEntry, readLocalFiles } from '../../compose/read-local-files.ts'
import { copyImage } from '../../copy/copy-image.ts'
import type { Context } from '../../context.ts'
import { findMachine } from '../../inventory/choose-machines.ts'
import type { ResolvedStack } from '../resolve-stack.ts'
import type { DeployCalls } from '../run-release.ts'
import { openTarget } from '../runners/open-target.ts'
import type { StackCompose } from '../runners/stack-compose.ts'
import { localFileAt, storedPath } from '../stack-files.ts'
import type { StackModel } from '../stack-model.ts'
import type { StackBuilds } from './service-builds.ts'

/** Provides the images that a stack builds. */
export interface ImageBuilder {
  /**
   * Makes sure that a machine has the images. They are built once per architecture, on the `buildOn` machine of the
   * stack or on its first machine, and copied from there without a registry. Throws kind `failed` with the output of
   * the build if it fails.
   */
  provide(
    machine: Machine,
    resolved: Pick<ResolvedStack, 'builds'>,
    calls: DeployCalls,
  ): Promise<void>
}

/** Options of {@link openImageBuilder}. */
interface BuilderOptions {
  readonly stack: Stack
  readonly compose: StackCompose
  /** The directory of the inventory, with symbolic links resolved. */
  readonly folder: string
  /** The variables that Compose may use. */
  readonly variables: Readonly<Record<string, string>>
}

const missingOn = async (
  engine: Engine,
  images: Iterable<string>,
  signal: AbortSignal,
): Promise<readonly string[]> => {
  const found = await Promise.all(
    [...new Set(images)].map(async (image) =>
      (await findImage(engine, image, signal)) === undefined ? [image] : [],
    ),
  )
  return found.flat()
}

/** The number of output lines shown for a failed build. */
const shownLines = 20

/** Returns the last output lines of a failed build. */
const outputOf = ({ code, stdout, stderr }: CommandResult): string => {
  const lines = [...stdout.split('\n'), ...stderr.split('\n')].filter((line) => line.trim() !== '')
  return lines.slice(-shownLines).join('\n') || `Compose exited with code ${code}`
}

/** Returns the base images of the Dockerfiles, for the logins to their registries. */
async function baseImages({ dockerfiles }: StackBuilds): Promise<readonly string[]> {
  const images = dockerfiles.map(async (file) => {
    const content = await readFile(file, 'utf8').catch(ignored('docker', 'read the Dockerfile'))
    return content === undefined ? [] : imagesOf(content, new Map())
  })
  return (await Promise.all(images)).flat()
}

/** Copies the build contexts and secrets to a host. Returns the model with the paths on the host. */
async function shipContexts(
  mirror: HostMirror,
  builds: StackBuilds,
  folder: string,
): Promise<StackModel> {
  const secrets = Object.values(builds.modelFor((local) => local).secrets ?? {})
  const { files: read } = await readLocalFiles({
    files: secrets.flatMap(({ file }) => file ?? []),
  })
  const files = new Map<string, LocalEntry>([
    ...builds.files,
    ...[...read.values()].map((entry) => [storedPath(folder, entry.file), entry] as const),
  ])
  await shipFiles(mirror, files)
  return builds.modelFor((local) => `${mirror.root}/${storedPath(folder, local)}`)
}

/** Creates the image builder of one stack, for the duration of one command. */
export function openImageBuilder(
  context: Context,
  { stack, compose, folder, variables }: BuilderOptions,
): ImageBuilder {
  const architectures = new Map<string, Promise<string>>()
  const architectureOf = (machine: Machine): Promise<string> => {
    const read = async (): Promise<string> =>
      (await readVersion(await context.engine(machine), context.signal)).Arch
    const known = architectures.get(machine.name) ?? read()
    architectures.set(machine.name, known)
    return known
  }
  /** Finds a machine to build the images for `machine`. It must have the same architecture. */
  async function findBuilder(machine: Machine): Promise<Machine> {
    const wanted = await architectureOf(machine)
    const inventory = await (await context.inventory()).read()
    const own = machinesOf(stack, inventory.machines.values())
    const named = stack.buildOn === undefined ? [] : [findMachine(inventory, stack.buildOn)]
    for (const candidate of [...named, ...own]) {
      if (candidate.host?.phase !== 'ready' || candidate.engine === 'none') continue
      const other = await architectureOf(candidate).catch(
        ignored('docker', "get a machine's architecture"),
      )
      if (other === wanted) return candidate
    }
    return machine
  }
  async function buildOn(
    builder: Machine,
    builds: StackBuilds,
    { progress, signal }: DeployCalls,
  ): Promise<void> {
    const engine = await context.engine(builder)
    const missing = await missingOn(engine, builds.images.values(), signal)
    if (missing.length === 0) return
    progress('build images', `on ${builder.name}`)
    const target = await openTarget(context.with({ signal }), compose, builder, stack.name)
    const mirror = mirrorAt(target.mirror.host, `${target.mirror.folder}/build`, (path) =>
      localFileAt(folder, path),
    )
    const model =
      compose.host === undefined
        ? builds.modelFor((local) => local)
        : await shipContexts(mirror, builds, folder)
    const services = Object.entries(model.services).flatMap(([name, { image = '' }]) =>
      missing.includes(image) ? [name] : [],
    )
    const buildKit = context.env['DOCKER_BUILDKIT']
    const result = await target.compose.run(model, ['build', ...services], {
      variables: { ...variables, ...(buildKit !== undefined && { DOCKER_BUILDKIT: buildKit }) },
      images: await baseImages(builds),
      signal,
    })
    const absent = await missingOn(engine, missing, signal)
    if (result.code === 0 && absent.length === 0) return
    throw new UserError(
      'failed',
      `cannot build the images for stack ${stack.name}:\n${outputOf(result)}`,
      {
        machine: builder.name,
        hint: `to build on another machine, set stacks.${stack.name}.buildOn in machines.yaml`,
      },
    )
  }
  const built = new Map<string, Promise<Machine>>()
  /** Returns a machine that has the images for `machine`. The images are built first if necessary. */
  async function sourceFor(
    machine: Machine,
    builds: StackBuilds,
    calls: DeployCalls,
  ): Promise<Machine> {
    const key = JSON.stringify([await architectureOf(machine), ...builds.images.values()])
    const build = async (): Promise<Machine> => {
      const builder = await findBuilder(machine)
      await buildOn(builder, builds, calls)
      return builder
    }
    const source = built.get(key) ?? build()
    built.set(key, source)
    return source
  }
  return {
    async provide(machine, { builds }, calls) {
      if (builds.images.size === 0) return
      const { progress, signal } = calls
      const engine = await context.engine(machine)
      const missing = await missingOn(engine, builds.images.values(), signal)
      if (missing.length === 0) return
      const source = await sourceFor(machine, builds, calls)
      if (source.name === machine.name) return
      progress('copy images', `from ${source.name}`)
      for (const image of missing) {
        await copyImage(context, { image, from: source, to: machine, signal }, (step) =>
          progress('copy images', `from ${source.name}: ${step}`),
        )
      }
    },
  }
}
