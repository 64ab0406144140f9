import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Engine } from '../../engine/engine.ts'
import {
  type ImageDetails,
  findImage,
  inspectImage,
  listImages,
  tagImage,
} from '../../engine/images.ts'
import { UserError } from '../../errors.ts'
import { type Machine, socketOf } from '../../machine/machine.ts'
import { exitCodeOf } from '../../transport/command.ts'
import { readBeginning, run } from '../../transport/run.ts'
import { startProgram } from '../../transport/start-program.ts'
import { filterImage } from './archive/filter-image.ts'
import type { Context } from '../context.ts'
import { ignored } from '../../os/trace.ts'

/** The amount of data that was sent to copy an image to one machine. */
export interface ImageCopy {
  /** The number of bytes that were sent. */
  readonly bytes: number
  /** The number of layers that were sent, out of `layers`. */
  readonly sent: number
  readonly layers: number
}

/** Shell: sets `$docker`, with sudo if the user has no permission to use the engine. */
const findDocker = `
docker=docker
docker version >/dev/null 2>&1 || docker='sudo -n docker'
`
const scripts = {
  /** Prints the manifest of an image archive. */
  list: `${findDocker} $docker save "$1" | tar -xOf - manifest.json`,
  /** Prints an image archive without some of its files, which GNU tar removes from the stream. */
  save: `${findDocker} image=$1; shift
if [ $# = 0 ]; then exec $docker save "$image"; fi
$docker save "$image" | tar -f - --delete -- "$@"`,
  load: `${findDocker} exec $docker load --quiet`,
}

const layersOf = ({ RootFS }: ImageDetails): readonly string[] => RootFS.Layers ?? []

/** Counts the layers of an image, starting with the lowest, that an engine already has as part of another image. */
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

/** The name of the copied image: the typed one with its tag, or the ID if the image has no such name. */
function nameOf(typed: string, { Id, RepoTags }: ImageDetails): string {
  const names = RepoTags ?? []
  return [typed, `${typed}:latest`].find((name) => names.includes(name)) ?? Id
}

/** The command that runs a script with docker on a machine. */
const commandFor = (machine: Machine, script: string, words: readonly string[]): string[] => [
  'env',
  `DOCKER_HOST=unix://${socketOf(machine)}`,
  ...['sh', '-c', script, 'fleet', ...words],
]

/** The files of an image archive that contain only the lowest `count` layers; empty if that cannot be determined. */
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

/** Sends an image archive without some files. Resolves to the result of the load; throws when a connection is lost. */
async function send(
  context: Context,
  { from, to, name, id, without, signal }: Sending,
  onBytes: (bytes: number) => void,
): Promise<{ readonly failure: string | undefined; readonly bytes: number }> {
  const ending = new AbortController()
  const stop = AbortSignal.any([signal, ending.signal])
  const open = {
    save: async () =>
      startProgram(
        await context.connect(from),
        commandFor(from, scripts.save, [name, ...without]),
        {
          signal: stop,
        },
      ),
    load: async () =>
      startProgram(await context.connect(to), commandFor(to, scripts.load, []), { signal: stop }),
  }
  // A fixed order prevents a deadlock between two copies in opposite directions, when each host allows only one
  // session.
  const first = from.name < to.name ? await open.save() : undefined
  let bytes = 0
  async function* counted(archive: Readable): AsyncGenerator<Buffer> {
    for await (const chunk of archive) {
      onBytes((bytes += (chunk as Buffer).length))
      yield chunk as Buffer
    }
  }
  try {
    const loading = await open.load()
    const saving = first ?? (await open.save())
    saving.stdin.on('error', () => {}).end()
    loading.stdout.resume()
    const words = Promise.all(
      [saving.stderr, loading.stderr].map((stderr) =>
        readBeginning(stderr).catch(ignored('copy', 'read the errors from docker', '')),
      ),
    )
    const wanted = { id, tag: name === id ? undefined : name }
    const archive = Readable.from(filterImage(counted(saving.stdout), wanted), {
      objectMode: false,
      highWaterMark: 1 << 20,
    })
    const passing = pipeline(archive, loading.stdin).then(
      () => undefined,
      (error: unknown) => error,
    )
    const failure = await passing
    if (failure instanceof UserError) {
      const saved = await Promise.race([
        saving.exit,
        sleep(endTimeoutMs, undefined, { ref: false }),
      ])
      ending.abort()
      const [savingWords] = await words
      if (saved !== undefined && exitCodeOf(saved) !== 0)
        return { failure: reason(savingWords), bytes }
      throw new UserError(failure.kind, failure.message, { machine: from.name, cause: failure })
    }
    const loaded = await loading.exit
    if (exitCodeOf(loaded) === 0) {
      const saved = await saving.exit
      const [savingWords] = await words
      return { failure: exitCodeOf(saved) === 0 ? undefined : reason(savingWords), bytes }
    }
    ending.abort() // the save is no longer needed
    const [, loadingWords] = await words
    return { failure: reason(loadingWords), bytes }
  } finally {
    ending.abort()
  }
}

/** How long to wait for the exit of `docker save` after its output has ended, in milliseconds. */
const endTimeoutMs = 5000

const reason = (words = ''): string => words.trim() || 'unknown error'

interface Sending {
  readonly from: Machine
  readonly to: Machine
  /** The image name or ID to pass to `docker save`. */
  readonly name: string
  readonly id: string
  /** Files of the archive to leave out. */
  readonly without: readonly string[]
  readonly signal: AbortSignal
}

/** Whether an engine has the image: by its ID, or by name and layers, because image stores differ in how they compute IDs. */
async function hasImage(engine: Engine, image: ImageDetails, name: string, signal: AbortSignal) {
  if ((await findImage(engine, image.Id, signal)) !== undefined) return true
  const named = await findImage(engine, name, signal)
  return named !== undefined && layersOf(named).join() === layersOf(image).join()
}

/**
 * Copies an image from one machine to another without a registry. Only missing layers are sent, or all layers if the
 * engine rejects that. Throws when the image does not exist on the target afterwards.
 */
export async function copyImage(
  context: Context,
  { image, from, to, signal }: { image: string; from: Machine; to: Machine; signal: AbortSignal },
  report: (step: string, bytes?: number) => void,
): Promise<ImageCopy> {
  report('compare layers')
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
    const step = isWhole ? 'send all layers' : 'send missing layers'
    const sending = { from, to, name, id: details.Id, without: left, signal }
    report(step)
    const sent = await send(context, sending, (bytes) => report(step, bytes))
    if (await hasImage(target, details, name, signal)) {
      return { bytes: sent.bytes, sent: isWhole ? layers : layers - left.length, layers }
    }
    failure = sent.failure
  }
  throw new UserError(
    'failed',
    `${name} was not loaded: ${failure ?? 'the target engine does not have the image'}`,
    {
      machine: to.name,
    },
  )
}
