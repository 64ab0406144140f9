import { splitLines } from '../../engine/lines.ts'
import { startProgram } from '../../transport/start-program.ts'
import type { Transport } from '../../transport/transport.ts'
import type { HostFigures } from './updates.ts'

/** The pause between readings, in seconds. Each reading also serves as a sign that the host is alive. */
export const readingSeconds = 2

/** The file system is measured only once in this number of readings, because measuring it starts two more programs. */
const readingsPerDisk = 15

/**
 * Repeatedly prints a line of figures: the load, the busy and the idle time of all processors, and the total and
 * available memory (proc(5)), then the size and usage of the file system that contains the engine's data. It starts no
 * program except `sleep` and those that measure the file system, and exits when its output is closed.
 */
const script = `n=0
while :; do
  read -r load _ </proc/loadavg || exit 3
  read -r _ u ni sy id io irq soft st _ </proc/stat || exit 3
  while read -r key value _; do
    case $key in MemTotal:) total=$value ;; MemAvailable:) free=$value; break ;; esac
  done </proc/meminfo
  if [ $((n % ${readingsPerDisk})) -eq 0 ]; then
    set -- $(df -Pk /var/lib/docker 2>/dev/null || df -Pk /)
    while [ $# -gt 6 ]; do shift; done
    size=$2 used=$3
  fi
  echo "$load $((u + ni + sy + irq + soft + st)) $((id + io)) $total $free $size $used" || exit
  n=$((n + 1))
  sleep ${readingSeconds}
done`

/** Counters of processor time in a reading. Only the differences between readings are meaningful. */
interface Times {
  readonly busy: number
  readonly idle: number
}

/** Parses a line of the script's output; undefined for any other line. */
export function parseFigures(
  line: string,
  before?: Times,
): { readonly figures: HostFigures; readonly times: Times } | undefined {
  const words = line.trim().split(' ')
  const numbers = words.map(Number)
  const [load, busy, idle, total, free, size, used] = numbers
  if (load === undefined || busy === undefined || idle === undefined) return undefined
  if (total === undefined || free === undefined) return undefined
  if (![load, busy, idle, total, free].every(Number.isFinite)) return undefined
  const spent = before && busy - before.busy + (idle - before.idle)
  const cpu =
    before === undefined || spent === undefined || spent <= 0
      ? undefined
      : Math.min(1, Math.max(0, (busy - before.busy) / spent))
  const hasDisk = Number.isFinite(size) && Number.isFinite(used) && (size ?? 0) > 0
  return {
    figures: {
      load,
      cpu,
      memory: { used: Math.max(0, total - free) * 1024, total: total * 1024 },
      disk: hasDisk ? { used: (used ?? 0) * 1024, total: (size ?? 0) * 1024 } : undefined,
    },
    times: { busy, idle },
  }
}

/**
 * Yields the figures of a host every two seconds. Ends if the host has no /proc, and throws as the transport does when
 * the connection is lost.
 */
export async function* watchHostFigures(
  transport: Transport,
  signal: AbortSignal,
): AsyncGenerator<HostFigures, void> {
  const running = await startProgram(transport, ['sh', '-c', script], { signal })
  running.stdin.on('error', () => {}).end()
  running.stderr.resume()
  running.exit.catch(() => {})
  let before: Times | undefined
  for await (const line of splitLines(running.stdout)) {
    const read = parseFigures(line.toString(), before)
    if (read === undefined) continue
    before = read.times
    yield read.figures
  }
  await running.exit
}
