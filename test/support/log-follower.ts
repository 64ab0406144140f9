import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import type { Readable } from 'node:stream'

/** The end of a followed stream. */
interface End {
  /** `code N: …` with the text on stderr, or the error that an SDK received. */
  readonly said: string
  /** Time of performance.now(), in milliseconds. */
  readonly at: number
}

/** A followed log of numbered lines (`line N`). */
export interface Followed {
  readonly kind: string
  /** Returns the number of lines received. */
  readonly lines: () => number
  /** Gaps in the line numbers: each line whose number is not one higher than the previous line's. */
  readonly gaps: readonly string[]
  readonly ended: Promise<End>
  /** Returns the text on stderr so far. */
  readonly said: () => string
  /** Ends the stream abruptly, as if its program had died. */
  readonly kill: () => void
}

/** Counts lines, and detects missing lines for each machine. */
function readLines(stream: Readable): Pick<Followed, 'lines' | 'gaps'> {
  const last = new Map<string, number>()
  const gaps: string[] = []
  let count = 0
  let rest = ''
  stream.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString('latin1')).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const [, machine = '', number] = /(?:(h\d) .*)?line (\d+)$/.exec(line) ?? []
      if (number === undefined) continue // a byte in a frame header may look like a line feed
      const before = last.get(machine)
      if (before !== undefined && Number(number) !== before + 1) gaps.push(`${before}, ${line}`)
      last.set(machine, Number(number))
      count += 1
    }
  })
  return { lines: () => count, gaps }
}

/** Follows a log with a program. */
export function followBy(
  kind: string,
  [command = '', ...args]: readonly string[],
  options: { readonly cwd: string; readonly env: Readonly<Record<string, string>> },
): Followed {
  const child = spawn(command, args, options)
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  return {
    kind,
    ...readLines(child.stdout),
    said: () => said,
    ended: once(child, 'close').then(([code]) => ({
      said: `code ${code}: ${said}`,
      at: performance.now(),
    })),
    kill: () => void child.kill('SIGKILL'),
  }
}

/** Follows a log with a direct request to the engine, as an SDK does. */
export async function followBySdk(socketPath: string, container: string): Promise<Followed> {
  const path = `/containers/${container}/logs?follow=1&stdout=1&tail=1`
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    request({ socketPath, path, agent: false }, resolve).on('error', reject).end()
  })
  if (answer.statusCode !== 200) throw new Error(await text(answer))
  const failed = new Promise<string>((resolve) =>
    answer.once('error', (error) => resolve(String(error))),
  )
  const closed = once(answer, 'close').then(() => 'closed')
  return {
    kind: 'sdk',
    said: () => '',
    ...readLines(answer),
    ended: Promise.race([failed, closed]).then((said) => ({ said, at: performance.now() })),
    kill: () => answer.destroy(),
  }
}
