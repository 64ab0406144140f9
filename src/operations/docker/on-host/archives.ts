import { randomUUID } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { PassThrough, type Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import {
  type Word,
  formatWords,
  operandsOf,
  replaceOperand,
  valuesOf,
  withoutFlags,
} from '../../../docker/command-line.ts'
import type { ReadCommand } from '../../../docker/verbs.ts'
import { UserError, codeOf, fileProblemOf } from '../../../errors.ts'
import { findLocal, overwriteFile, writeToSpecialFile } from '../../copy/local-files.ts'
import type { Streams } from '../../../os/streams.ts'
import { type HostDocker, runHostDocker } from './host-docker.ts'
import { ignored } from '../../../os/trace.ts'

/** Runs docker with a local file as its input. */
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
    throw new UserError('failed', `cannot read ${file}: ${fileProblemOf(error)}`, { cause: error })
  }
  return runHostDocker(host, { args: () => args }, { ...streams, stdin })
}

/** `docker load`: `--input` is a file on this computer. */
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

/** `docker import`: its first operand is a file on this computer, unless it is `-` or a URL. */
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
  new UserError('failed', `cannot write ${file}: ${fileProblemOf(error)}`, { cause: error })

/** A destination for docker's output. */
interface Sink {
  readonly stdout: Writable
  /** Ends the output. Rejects if it could not be written completely. */
  finish(isWhole: boolean): Promise<void>
}

/** A new file, which gets its name only when it is complete. */
function openNewFile(file: string): Sink {
  const partial = join(dirname(file), `.${basename(file)}.${randomUUID().slice(0, 8)}`)
  const stdout = createWriteStream(partial, { mode: 0o600 }) // the mode that docker uses
  stdout.on('error', () => {}) // reported by the writer, and at the end
  return {
    stdout,
    async finish(isWhole) {
      try {
        if (!isWhole) return
        stdout.end()
        await finished(stdout)
        await rename(partial, file)
      } catch (error) {
        throw codeOf(error) === undefined ? error : cannotWrite(file, error)
      } finally {
        stdout.destroy()
        await rm(partial, { force: true })
      }
    },
  }
}

/** An existing file or device, which is overwritten in place. */
function openExisting(file: string, isFile: boolean, signal: AbortSignal): Sink {
  const stdout = new PassThrough({ highWaterMark: 1 << 20 })
  const written = isFile ? overwriteFile(file, stdout) : writeToSpecialFile(file, stdout, signal)
  written.catch((error: unknown) => stdout.destroy(error as Error))
  stdout.on('error', () => {})
  return {
    stdout,
    async finish(isWhole) {
      if (isWhole) stdout.end()
      else stdout.destroy(new Error('docker failed'))
      if (isWhole || stdout.errored?.message !== 'docker failed') await written
      else await written.catch(ignored('copy', 'write the archive'))
    },
  }
}

/** `docker save` and `docker export`: `--output` is a file on this computer. */
export async function saveOnHost(
  host: HostDocker,
  { start, words }: ReadCommand,
  streams: Streams,
): Promise<number> {
  const output = valuesOf(words, '--output').at(-1)
  const args = [...start, ...formatWords(withoutFlags(words, ['--output']))]
  if (output === undefined) return runHostDocker(host, { args: () => args }, streams)
  const file = resolve(streams.cwd, output)
  const { kind, isLink } = await findLocal(file)
  if (kind === 'folder') throw new UserError('failed', `${file} is a directory`)
  if (kind === 'absent' && isLink) {
    throw new UserError('failed', `${file} is a broken link`)
  }
  const sink =
    kind === 'absent' ? openNewFile(file) : openExisting(file, kind === 'file', streams.signal)
  let code: number | undefined
  try {
    code = await runHostDocker(host, { args: () => args }, { ...streams, stdout: sink.stdout })
  } catch (error) {
    await sink.finish(false) // the local write error is more useful
    throw codeOf(error) === undefined ? error : cannotWrite(file, error)
  }
  await sink.finish(code === 0)
  return code
}
