import { quoteForHost } from '../../../os/shell-quote.ts'
import { UserError } from '../../../errors.ts'
import { run } from '../../../transport/run.ts'
import { packPrivateFiles } from '../../copy/remote-temp-dir.ts'
import { type Host, commandOn, reasonOf } from '../../copy/remote-tar.ts'
import type { StackModel } from '../stack-model.ts'
import { parseStoredModel } from './stored-model.ts'

const states = ['deploying', 'ready', 'failed'] as const

/** One deployment of a stack on one host. */
export interface Release {
  readonly number: number
  /** `deploying` also means that a deployment was interrupted. */
  readonly state: (typeof states)[number]
  /** The user and computer: `ana@laptop`. */
  readonly by: string
  /** The time at which the deployment started, in ISO 8601 format. */
  readonly at: string
  /** The git commit that was checked out in the inventory's directory. */
  readonly commit?: string | undefined
  /** The version of Compose that deployed the release. */
  readonly compose: string
  /** The digest of the deployed model. */
  readonly digest: string
  /** The image IDs, keyed by service. */
  readonly images: Readonly<Record<string, string>>
  /** Why the deployment failed. */
  readonly reason?: string | undefined
}

/** The releases of a stack on a host. */
export interface Releases {
  /** The number of the last release that was deployed without an error. */
  readonly current: number | undefined
  /** Sorted by number, the oldest first. */
  readonly all: readonly Release[]
}

const maxTextLength = 1000

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const textOf = (value: unknown): string =>
  typeof value === 'string' ? value.slice(0, maxTextLength) : ''

/** Parses the record of a release; undefined if it is invalid, because a host can write anything there. */
export function parseRelease(number: number, text: string): Release | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!isRecord(value) || value['number'] !== number) return undefined
  const state = states.find((one) => one === value['state'])
  const { images } = value
  if (state === undefined || !isRecord(images)) return undefined
  const ids = Object.entries(images).flatMap(([service, id]) =>
    typeof id === 'string' && /^sha256:[0-9a-f]{64}$/.test(id) ? [[service, id] as const] : [],
  )
  const { by, at, commit, compose, digest, reason } = value
  return {
    ...{ number, state, by: textOf(by), at: textOf(at) },
    ...(commit !== undefined && { commit: textOf(commit) }),
    ...{ compose: textOf(compose), digest: textOf(digest), images: Object.fromEntries(ids) },
    ...(reason !== undefined && { reason: textOf(reason) }),
  }
}

/** A release whose record is damaged. Its number is not used again. */
const unreadable = (number: number): Release => ({
  ...{ number, state: 'failed', by: '', at: '', compose: '', digest: '', images: {} },
  reason: 'release.json cannot be read',
})

/**
 * Prints the number of the current release and a NUL; then the number and the record of each release, each followed by
 * a NUL.
 */
const list = `
cd -- "$1/releases" 2>/dev/null || { printf '\\0'; exit 0; }
printf '%s\\0' "$(readlink current 2>/dev/null)"
for folder in [0-9]*; do
  [ -d "$folder" ] || continue
  printf '%s\\0' "$folder"
  cat -- "$folder/release.json" 2>/dev/null
  printf '\\0'
done
`

/** Unpacks a release, then renames it to its number. An existing release is not changed. */
const add = `
umask 077
mkdir -p -- "$1/releases" && cd -- "$1/releases" || exit
rm -rf -- ".$2" && mkdir -- ".$2" && tar -xf - -C ".$2" || exit
[ ! -e "$2" ] || { echo "release $2 exists" >&2; exit 1; }
mv -- ".$2" "$2"
`

/** Replaces the record of a release. With a third argument, the release becomes the current one. */
const update = `
umask 077
cd -- "$1/releases/$2" || exit
cat >.release.json && mv -f -- .release.json release.json || exit
[ -n "$3" ] || exit 0
cd .. && rm -f .current && ln -s -- "$2" .current && mv -f -T -- .current current
`

/** Removes releases by number. */
const remove = `
cd -- "$1/releases" || exit
shift
rm -rf -- "$@"
`

async function runScript(
  host: Host,
  script: string,
  args: readonly string[],
  input: string | Buffer = '',
): Promise<string> {
  const { name: machine, transport, become = [] } = host
  const words = [...become, 'sh', '-c', script, 'fleet', ...args]
  const { code, stdout, stderr } = await run(transport, words, { input })
  if (code === 0) return stdout
  const [folder = ''] = args
  throw new UserError('failed', `cannot access ${folder} on ${machine}: ${reasonOf(stderr)}`, {
    machine,
    hint: `check the directory (${commandOn(host, `ls -ld ${quoteForHost(folder)}`)}) and the free space (${commandOn(host, 'df -h')})`,
  })
}

/**
 * Parses releases. `current` is the number of the current release; `parts` contains the number and the record of each
 * release.
 */
export function parseReleases(current: string, parts: readonly string[]): Releases {
  const all: Release[] = []
  for (let at = 0; at + 1 < parts.length; at += 2) {
    const [name = '', text = ''] = parts.slice(at, at + 2)
    if (!/^[1-9]\d{0,8}$/.test(name)) continue
    const number = Number(name)
    all.push(parseRelease(number, text) ?? unreadable(number))
  }
  all.sort((one, other) => one.number - other.number)
  const known = all.find(({ number, state }) => String(number) === current && state === 'ready')
  return { current: known?.number, all }
}

/** Reads the releases of a stack. `folder` is the stack's directory on the host, which may not exist. */
export async function readReleases(host: Host, folder: string): Promise<Releases> {
  const [current = '', ...parts] = (await runScript(host, list, [folder])).split('\0')
  return parseReleases(current, parts)
}

/** The data that is needed to deploy a release again. */
export interface ReleaseContent {
  readonly model: StackModel
  /** The record of the copied files, as `formatRecord` writes it. */
  readonly files: string
  /**
   * The values of the variables that configs and secrets use. When a stored release is deployed again, Compose must not
   * get any other variables from this computer.
   */
  readonly environment: Readonly<Record<string, string>>
}

/** The number of the next release. */
export const nextNumber = ({ all }: Releases): number => (all.at(-1)?.number ?? 0) + 1

/**
 * Writes a new release, which does not become the current one yet. Throws kind `failed` if its number is already in
 * use.
 */
export async function addRelease(
  host: Host,
  folder: string,
  release: Release,
  { model, files, environment }: ReleaseContent,
): Promise<void> {
  const archive = packPrivateFiles({
    'model.json': JSON.stringify(model),
    'files.jsonl': files,
    'environment.json': JSON.stringify(environment),
    'release.json': JSON.stringify(release),
  })
  await runScript(host, add, [folder, String(release.number)], Buffer.concat([...archive]))
}

/** Records the result of a deployment. A release that is `ready` becomes the current one. */
export async function finishRelease(host: Host, folder: string, release: Release): Promise<void> {
  const isCurrent = release.state === 'ready' ? 'current' : ''
  const args = [folder, String(release.number), isCurrent]
  await runScript(host, update, args, JSON.stringify(release))
}

/** Removes releases, without their images. */
export async function removeReleases(
  host: Host,
  folder: string,
  releases: readonly Release[],
): Promise<void> {
  if (releases.length === 0) return
  await runScript(host, remove, [folder, ...releases.map(({ number }) => String(number))])
}

/** Prints the three files of a release, each followed by a NUL. */
const show = `
cd -- "$1/releases/$2" || exit
for file in model.json files.jsonl environment.json; do cat -- "$file" || exit; printf '\\0'; done
`

/**
 * Reads the data that is needed to deploy a release again. Throws kind `failed` for a release that is incomplete or
 * could read local files.
 */
export async function readReleaseContent(
  host: Host,
  folder: string,
  { number }: Pick<Release, 'number'>,
): Promise<ReleaseContent> {
  const [model = '', files = '', variables = ''] = (
    await runScript(host, show, [folder, String(number)])
  ).split('\0')
  const source = `release ${number} on ${host.name}`
  return {
    model: parseStoredModel(model, source),
    files,
    environment: parseEnvironment(variables, source),
  }
}

/** Parses the variables of a release. Throws kind `failed` if they are not an object. */
function parseEnvironment(text: string, source: string): Readonly<Record<string, string>> {
  let environment: unknown
  try {
    environment = JSON.parse(text === '' ? '{}' : text)
  } catch {
    environment = undefined
  }
  if (!isRecord(environment)) {
    throw new UserError('failed', `${source} has no variables that fleet can read`, {
      hint: 'deploy the stack again: fleet deploy',
    })
  }
  const values = Object.entries(environment).flatMap(([name, value]) =>
    typeof value === 'string' && /^[A-Za-z_]\w*$/.test(name) ? [[name, value] as const] : [],
  )
  return Object.fromEntries(values)
}
