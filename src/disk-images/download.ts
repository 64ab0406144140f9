import type { Progress } from '../os/progress.ts'
import { createWriteStream } from 'node:fs'
import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { UserError } from '../errors.ts'
import { fetchUrl } from './fetch-url.ts'
import { ignored } from '../os/trace.ts'
import { pause } from '../os/retry.ts'

/** Progress and cancellation of a download. */
export interface DownloadCall {
  readonly signal: AbortSignal
  readonly progress: Progress
}

/** A download with a maximum size. */
interface SizedCall extends DownloadCall {
  readonly maxBytes: number
}

/** Maximum number of consecutive interruptions without progress. */
const maxAttemptsWithoutData = 4

const sizeOf = (file: string): Promise<number> =>
  stat(file).then(
    ({ size }) => size,
    () => 0,
  )

const inMegabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`

const tooLarge = (url: string, most: number): UserError =>
  new UserError('failed', `${url} is larger than ${inMegabytes(most)}`, {
    hint: 'check the URL, or download the image yourself and specify its path',
  })

/** Returns a stream that reports progress once a second, and fails once there are more than `most` bytes. */
function count(
  from: number,
  {
    total,
    most,
    url,
  }: { readonly total: number | undefined; readonly most: number; readonly url: string },
  report: (detail: string) => void,
): Transform {
  let have = from
  let reported = 0
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      have += chunk.length
      if (have > most) {
        done(tooLarge(url, most))
        return
      }
      if (Date.now() - reported >= 1000) {
        reported = Date.now()
        report(
          total === undefined ? inMegabytes(have) : `${inMegabytes(have)} of ${inMegabytes(total)}`,
        )
      }
      done(null, chunk)
    },
  })
}

/** Whether a response contains the rest of a file, starting at the offset `have`. */
const isRest = ({ statusCode, headers }: IncomingMessage, have: number): boolean =>
  statusCode === 206 && headers['content-range']?.startsWith(`bytes ${have}-`) === true

/** Downloads the missing part of `file`. Starts over if the server has a new version or does not support ranges. */
async function fetchRest(url: string, file: string, step: string, call: SizedCall): Promise<void> {
  const have = await sizeOf(file)
  const mark = await readFile(`${file}.etag`, 'utf8').catch(
    ignored('driver', "read the partial download's ETag", ''),
  )
  const ranged = have > 0 && mark !== ''
  const headers: Record<string, string> = ranged
    ? { Range: `bytes=${have}-`, 'If-Range': mark }
    : {}
  const response = await fetchUrl(url, headers, call.signal)
  const from = ranged && isRest(response, have) ? have : 0
  if (response.statusCode !== 200 && from === 0) {
    response.destroy()
    if (!ranged) {
      throw new UserError('usage', `the server returned a part of ${url} that was not requested`, {
        hint: 'check the image URL, or try again later',
      })
    }
    await rm(file, { force: true }) // the partial file is longer than the new file, or belongs to a different version
    return fetchRest(url, file, step, call)
  }
  const { etag, 'last-modified': modified, 'content-length': length } = response.headers
  await writeFile(`${file}.etag`, (etag?.startsWith('W/') ? undefined : etag) ?? modified ?? '')
  const total = length === undefined ? undefined : from + Number(length)
  const most = call.maxBytes
  if (total !== undefined && total > most) {
    response.destroy()
    throw tooLarge(url, most)
  }
  await pipeline(
    response,
    count(from, { total, most, url }, (detail) => call.progress(step, detail)),
    createWriteStream(file, { flags: from > 0 ? 'a' : 'w' }),
    { signal: call.signal },
  )
  if (total !== undefined && (await sizeOf(file)) !== total)
    throw new Error('the download is incomplete')
}

/** Downloads `url` to `file`, continuing a partial download if there is one. Interrupted connections are retried. */
export async function download(
  url: string,
  file: string,
  step: string,
  call: SizedCall,
): Promise<void> {
  call.progress(step)
  for (let attemptsWithoutData = 0, before = await sizeOf(file); ; attemptsWithoutData++) {
    try {
      await fetchRest(url, file, step, call)
      await rm(`${file}.etag`, { force: true })
      return
    } catch (error) {
      call.signal.throwIfAborted()
      if (error instanceof UserError && error.kind !== 'unreachable') {
        await rm(file, { force: true })
        throw error
      }
      const have = await sizeOf(file)
      if (have > before) [attemptsWithoutData, before] = [0, have]
      if (attemptsWithoutData >= maxAttemptsWithoutData) {
        throw error instanceof UserError
          ? error
          : new UserError(
              'unreachable',
              `the download of ${url} was interrupted at ${inMegabytes(have)}`,
              {
                hint: 'run the command again to continue the download',
                cause: error,
              },
            )
      }
      call.progress(step, `interrupted at ${inMegabytes(have)}; retrying`)
      await pause(500 * 2 ** attemptsWithoutData, call.signal)
    }
  }
}
