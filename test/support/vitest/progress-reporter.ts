import { relative } from 'node:path'
import type { Reporter, TestModule } from 'vitest/node'

/** Time without output after which the running files are listed, in milliseconds. */
const longestSilence = 60_000

const nameOf = ({ moduleId }: TestModule): string => relative(process.cwd(), moduleId)

/**
 * Lists the running files when none has ended for a minute: if its output is a pipe, vitest prints a file only once it
 * has ended.
 */
export function progressReporter(
  write: (text: string) => void = (text) => void process.stdout.write(text),
): Reporter {
  const running = new Set<string>()
  let ended = 0
  let timer: NodeJS.Timeout | undefined
  return {
    onTestRunStart() {
      timer = setInterval(() => {
        write(` … ${ended} files ended; running: ${[...running].join(', ')}\n`)
      }, longestSilence).unref()
    },
    onTestModuleStart: (module) => void running.add(nameOf(module)),
    onTestModuleEnd(module) {
      running.delete(nameOf(module))
      ended += 1
      timer?.refresh()
    },
    onTestRunEnd: () => clearInterval(timer),
  }
}
