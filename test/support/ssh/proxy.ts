import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { shellQuote } from '../../../src/os/shell-quote.ts'

const script = (address: string, port: number, more: string) =>
  `const s = require('net').connect(${port}, '${address}'); process.stdin.pipe(s).pipe(process.stdout); ${more}`

/**
 * Returns the command line of a netcat in JavaScript, with additional code `more` that can use the socket `s`, and with
 * `mark` as an argument.
 */
export const netcat = (
  { address, port }: { readonly address: string; readonly port: number },
  { mark = '', more = '' } = {},
): readonly string[] => [process.execPath, '-e', script(address, port, more), mark]

/** Returns {@link netcat} as a shell command. */
export const netcatLine = (...args: Parameters<typeof netcat>): string =>
  netcat(...args)
    .map(shellQuote)
    .join(' ')

/** Resolves to the PIDs of processes with `mark` in their command line. */
export async function processesWith(mark: string): Promise<readonly number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const lines = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  )
  return pids.filter((pid, index) => pid !== process.pid && lines[index]?.includes(mark))
}

/** Waits until no process has `mark` in its command line. */
export async function untilGone(mark: string): Promise<void> {
  while ((await processesWith(mark)).length > 0) await sleep(20)
}
