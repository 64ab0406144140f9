import { randomUUID } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { finished } from 'node:stream/promises'
import {
  type Word,
  formatWords,
  operandsOf,
  replaceOperand,
  valuesOf,
  withoutFlags,
} from '../../engine/docker/command-line.ts'
import type { ReadCommand } from '../../engine/docker/verbs.ts'
import { UserError, codeOf, fileTroubleOf, messageOf } from '../../errors.ts'
import type { Streams } from '../streams.ts'
import { type HostDocker, runHostDocker } from './host-docker.ts'

/** Runs docker with a file of this computer as its input. */
async function runWithInput(
  host: HostDocker,
  args: readonly string[],
  file: string,
  streams: Streams,
): Promise<number> {
  const stdin = createReadStream(file)
  try {
    await new Promise((resolve, reject) => stdin.once('open', resolve).once('error', reject))
  } catch (error) {
    throw new UserError('failed', `cannot read ${file}: ${fileTroubleOf(error)}`, { cause: error })
  }
  return runHostDocker(host, { args: () => args }, { ...streams, stdin })
}

/** `docker load`: `--input` is a file of this computer. */
export async function loadOnHost(
  host: HostDocker,
  { start, words }: ReadCommand,
  streams: Streams,
): Promise<number> {
  const file = valuesOf(words, '--input').at(-1)
  const args = [...start, ...formatWords(withoutFlags(words, ['--input']))]
  if (file === undefined) return runHostDocker(host, { args: () => args }, streams)
  return runWithInput(host, args, resolve(streams.cwd, file), streams)
}

/** `docker import`: its first operand is a file of this computer, unless it is `-` or a URL. */
export async function importOnHost(
  host: HostDocker,
  { start, words }: ReadCommand,
  streams: Streams,
): Promise<number> {
  const source = operandsOf(words)[0]
  const args = (sent: readonly Word[]) => [...start, ...formatWords(sent)]
  if (source === undefined || source === '-' || /^https?:\/\//.test(source)) {
    return runHostDocker(host, { args: () => args(words) }, streams)
  }
  const sent = args(replaceOperand(words, 0, '-'))
  return runWithInput(host, sent, resolve(streams.cwd, source), streams)
}

const cannotWrite = (file: string, error: unknown): UserError =>
  new UserError('failed', `cannot write ${file}: ${messageOf(error)}`, { cause: error })

/** `docker save` and `docker export`: `--output` is a file of this computer, whole or not there. */
export async function saveOnHost(
  host: HostDocker,
  { start, words }: ReadCommand,
  streams: Streams,
): Promise<number> {
  const output = valuesOf(words, '--output').at(-1)
  const args = [...start, ...formatWords(withoutFlags(words, ['--output']))]
  if (output === undefined) return runHostDocker(host, { args: () => args }, streams)
  const file = resolve(streams.cwd, output)
  await refuseFolder(file)
  const partial = join(dirname(file), `.${basename(file)}.${randomUUID().slice(0, 8)}`)
  const stdout = createWriteStream(partial, { mode: 0o600 }) // as docker makes it
  try {
    const code = await runHostDocker(host, { args: () => args }, { ...streams, stdout })
    stdout.end()
    await finished(stdout)
    if (code === 0) await rename(partial, file)
    return code
  } catch (error) {
    throw codeOf(error) === undefined ? error : cannotWrite(file, error)
  } finally {
    stdout.destroy()
    await rm(partial, { force: true })
  }
}

async function refuseFolder(file: string): Promise<void> {
  const found = await stat(file).catch(() => undefined)
  if (found?.isDirectory() === true) throw new UserError('failed', `${file} is a folder`)
}
