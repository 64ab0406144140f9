import { PassThrough, Writable } from 'node:stream'
import { runCli } from '../../../src/cli/program.ts'

/** Result of a command line. */
export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command line in this process, without a terminal, and with `input` as its standard input. */
export async function runHere(
  words: readonly string[],
  {
    cwd,
    env,
    input = '',
  }: { cwd: string; env: Readonly<Record<string, string>>; input?: string | undefined },
): Promise<Ran> {
  const output = { stdout: '', stderr: '' }
  const collect = (name: 'stdout' | 'stderr') =>
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        output[name] += chunk.toString()
        done()
      },
    })
  const stdin = new PassThrough()
  stdin.end(input)
  const { signal } = new AbortController()
  const io = { stdin, stdout: collect('stdout'), stderr: collect('stderr'), env, cwd, signal }
  const code = await runCli(words, { io, version: '1.2.3' })
  return { code, ...output }
}
