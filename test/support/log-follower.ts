import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import type { Readable } from 'node:stream'

/** How a stream that was followed ended. */
interface End {
  /** `code N: …` with what was said on stderr, or what an SDK was told. */
  readonly said: string
  /** performance.now(), in milliseconds. */
  readonly at: number
}

/** A log of numbered lines (`line N`) that somebody follows. */
export interface Followed {
  readonly kind: string
  /** How many lines have come. */
  readonly lines: () => number
  /** The lines that did not follow upon the one before them. */
  readonly gaps: readonly string[]
  readonly ended: Promise<End>
  /** What it has said on stderr so far. */
  readonly said: () => string
  /** Ends it without a word, as the death of its program does. */
  readonly kill: () => void
}

/** Counts the lines of each machine, and sees that none is missing. */
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
      if (number === undefined) continue // the header of a frame may have a byte that looks like a line's end
      const before = last.get(machine)
      if (before !== undefined && Number(number) !== before + 1) gaps.push(`${before}, ${line}`)
      last.set(machine, Number(number))
      count += 1
    }
  })
  return { lines: () => count, gaps }
}

/** What a program follows. */
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

/** An engine's own stream, as an SDK reads it. */
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
