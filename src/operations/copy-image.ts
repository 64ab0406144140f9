import { pipeline } from 'node:stream/promises'
import type { Engine } from '../engine/engine.ts'
import {
  type ImageDetails,
  findImage,
  inspectImage,
  listImages,
  tagImage,
} from '../engine/images.ts'
import { UserError } from '../errors.ts'
import { type Machine, hostOf } from '../machine/machine.ts'
import { exitCodeOf } from '../transport/exit-code.ts'
import { beginningOf, run } from '../transport/run.ts'
import type { Context } from './context.ts'

/** What copying an image to one machine took. */
export interface ImageCopy {
  /** Bytes that were sent. */
  readonly bytes: number
  /** Layers that were sent, of all that the image has. */
  readonly sent: number
  readonly layers: number
}

/** Finds docker, as root where the user may not use the engine. */
const findDocker = `
docker=docker
docker version >/dev/null 2>&1 || docker='sudo -n docker'
`
const scripts = {
  /** Prints what the archive of an image says is in it. */
  list: `${findDocker} $docker save "$1" | tar -xOf - manifest.json`,
  /** Prints the archive of an image without some of its files, which GNU tar can leave out as it passes. */
  save: `${findDocker} image=$1; shift
if [ $# = 0 ]; then exec $docker save "$image"; fi
$docker save "$image" | tar -f - --delete -- "$@"`,
  load: `${findDocker} exec $docker load --quiet`,
}

const layersOf = ({ RootFS }: ImageDetails): readonly string[] => RootFS.Layers ?? []

/** How many layers of an image, from the lowest, an engine has above each other: it keeps them so for any image. */
async function countShared(
  engine: Engine,
  image: ImageDetails,
  signal: AbortSignal,
): Promise<number> {
  const wanted = layersOf(image)
  let most = 0
  for (const { Id } of await listImages(engine, { signal })) {
    const theirs = layersOf(await inspectImage(engine, Id, signal))
    const differs = wanted.findIndex((layer, index) => layer !== theirs[index])
    most = Math.max(most, differs === -1 ? wanted.length : differs)
  }
  return most
}

/** The name under which an image is copied: as it was typed, with its tag; the id of one that has no such name. */
function nameOf(typed: string, { Id, RepoTags }: ImageDetails): string {
  const names = RepoTags ?? []
  return [typed, `${typed}:latest`].find((name) => names.includes(name)) ?? Id
}

/** Runs a script with docker on a machine. */
const commandFor = (machine: Machine, script: string, words: readonly string[]): string[] => [
  'env',
  `DOCKER_HOST=unix://${hostOf(machine).socket ?? '/var/run/docker.sock'}`,
  ...['sh', '-c', script, 'fleet', ...words],
]

/** The files of an image's archive that hold the lowest `count` layers, and no other. Empty where that cannot be told. */
async function filesOfLayers(
  context: Context,
  from: Machine,
  image: string,
  count: number,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const command = commandFor(from, scripts.list, [image])
  const { code, stdout } = await run(await context.connect(from), command, { signal })
  if (code !== 0) return []
  try {
    const [{ Layers = [] } = {}] = JSON.parse(stdout) as { Layers?: readonly string[] }[]
    const needed = new Set(Layers.slice(count))
    return Layers.slice(0, count).filter((file) => !needed.has(file))
  } catch {
    return []
  }
}

/** Sends the archive of an image, without some files. Resolves to how it ended there; throws when a link is lost. */
async function send(
  context: Context,
  { from, to, name, without, signal }: Sending,
  onBytes: (bytes: number) => void,
): Promise<{ readonly failure: string | undefined; readonly bytes: number }> {
  const ending = new AbortController()
  const stop = AbortSignal.any([signal, ending.signal])
  const [source, target] = await Promise.all([context.connect(from), context.connect(to)])
  const saving = await source.exec(commandFor(from, scripts.save, [name, ...without]), {
    signal: stop,
  })
  const loading = await target.exec(commandFor(to, scripts.load, []), { signal: stop })
  saving.stdin.on('error', () => {}).end()
  let bytes = 0
  saving.stdout.on('data', (chunk: Buffer) => onBytes((bytes += chunk.length)))
  loading.stdout.resume()
  const words = Promise.all([beginningOf(saving.stderr), beginningOf(loading.stderr)])
  const passed = pipeline(saving.stdout, loading.stdin).catch(() => {}) // both ends tell why
  const [saved, loaded] = await Promise.all([saving.exit, loading.exit, passed]).catch(
    (error: unknown) => {
      ending.abort()
      throw error
    },
  )
  const [savingWords, loadingWords] = await words
  const failed = exitCodeOf(loaded) !== 0 ? loadingWords : savingWords
  const isDone = exitCodeOf(saved) === 0 && exitCodeOf(loaded) === 0
  return { failure: isDone ? undefined : failed.trim() || 'docker gave no reason', bytes }
}

interface Sending {
  readonly from: Machine
  readonly to: Machine
  /** What the archive is of. */
  readonly name: string
  /** Files of the archive to leave out. */
  readonly without: readonly string[]
  readonly signal: AbortSignal
}

/** Whether an engine has the very image: by its id, or, where ids are made otherwise, by name and layers. */
async function hasImage(engine: Engine, image: ImageDetails, name: string, signal: AbortSignal) {
  if ((await findImage(engine, image.Id, signal)) !== undefined) return true
  const named = await findImage(engine, name, signal)
  return named !== undefined && layersOf(named).join() === layersOf(image).join()
}

/**
 * Copies an image from one machine to another, without a registry. Only the layers that the target lacks are sent; where
 * its engine will not have that, all are. Throws when the image is not there afterwards.
 */
export async function copyImage(
  context: Context,
  { image, from, to, signal }: { image: string; from: Machine; to: Machine; signal: AbortSignal },
  report: (step: string, bytes?: number) => void,
): Promise<ImageCopy> {
  report('compare')
  const [source, target] = await Promise.all([context.engine(from), context.engine(to)])
  const details = await inspectImage(source, image, signal)
  const name = nameOf(image, details)
  const layers = layersOf(details).length
  if ((await findImage(target, details.Id, signal)) !== undefined) {
    if (name !== details.Id) await tagImage(target, details.Id, name, signal)
    return { bytes: 0, sent: 0, layers }
  }
  const shared = await countShared(target, details, signal)
  const without = shared === 0 ? [] : await filesOfLayers(context, from, name, shared, signal)
  const attempts = without.length === 0 ? [without] : [without, []]
  let failure: string | undefined
  for (const left of attempts) {
    const isWhole = left.length === 0
    const step = isWhole ? 'send' : 'send what is missing'
    const sending = { from, to, name, without: left, signal }
    report(step)
    const sent = await send(context, sending, (bytes) => report(step, bytes))
    if (await hasImage(target, details, name, signal)) {
      return { bytes: sent.bytes, sent: isWhole ? layers : layers - left.length, layers }
    }
    failure = sent.failure
  }
  throw new UserError('failed', `${name} did not arrive: ${failure ?? 'the engine has it not'}`, {
    machine: to.name,
  })
}
