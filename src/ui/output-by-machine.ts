import { namesOfGroup } from './fold-names.ts'
import type { Io } from './io.ts'
import { onlyColors } from './visible.ts'
import { openPrefixedLines } from './prefixed-lines.ts'

type Stream = 'stdout' | 'stderr'

/** Writes the output of a command that runs on several machines. */
export interface MachineOutput {
  /** Writes a line. Resolves when more lines can be written. */
  line(machine: string, stream: Stream, text: string): Promise<void> | void
  /** Called when the command has ended on a machine. */
  end(machine: string, code: number): void
  /** Called when the command has ended on all machines. */
  finish(): void
}

/** Writes each line as it arrives, prefixed with the name of its machine. */
function prefixedOutput(io: Io, machines: readonly string[]): MachineOutput {
  const lines = openPrefixedLines(io, machines)
  return {
    line(machine, stream, text) {
      lines.write(machine, stream, text)
      return io[stream].needsDrain ? io[stream].drained() : undefined
    },
    end: () => {},
    finish: () => {},
  }
}

/** The output of a machine so far. */
interface Printed {
  readonly lines: { readonly stream: Stream; readonly text: string }[]
}

/** Collects the output of each machine until the command ends there. */
function holdOutput(whenEnded: (machine: string, code: number, printed: Printed) => void) {
  const held = new Map<string, Printed>()
  return {
    line(machine: string, stream: Stream, text: string) {
      const printed = held.get(machine) ?? { lines: [] }
      held.set(machine, printed)
      printed.lines.push({ stream, text })
    },
    end(machine: string, code: number) {
      whenEnded(machine, code, held.get(machine) ?? { lines: [] })
      held.delete(machine)
    },
  }
}

/** Returns what a machine has written to one of its streams. */
const textOf = ({ lines }: Printed, wanted: Stream): string =>
  lines
    .filter(({ stream }) => stream === wanted)
    .map(({ text }) => `${text}\n`)
    .join('')

/** Writes a JSON object for each machine when the command ends there. */
function jsonOutput(io: Io): MachineOutput {
  const held = holdOutput((machine, code, printed) => {
    const [stdout, stderr] = [textOf(printed, 'stdout'), textOf(printed, 'stderr')]
    io.stdout.write(`${JSON.stringify({ machine, code, stdout, stderr })}\n`)
  })
  return { ...held, finish: () => {} }
}

/** Writes output that is identical on several machines only once, below the names of the machines. */
function foldedOutput(io: Io, machines: readonly string[]): MachineOutput {
  const byOutput = new Map<string, { printed: Printed; machines: Set<string> }>()
  const held = holdOutput((machine, code, printed) => {
    const key = JSON.stringify([code, printed])
    const group = byOutput.get(key) ?? { printed, machines: new Set() }
    byOutput.set(key, group)
    group.machines.add(machine)
  })
  return {
    ...held,
    finish() {
      const groups = [...byOutput.values()].map(({ printed, machines: printers }) => ({
        names: machines.filter((name) => printers.has(name)),
        lines: printed.lines,
      }))
      const orderOf = (group: (typeof groups)[number]) => machines.indexOf(group.names[0] ?? '')
      groups.sort((a, b) => orderOf(a) - orderOf(b))
      for (const { names, lines } of groups) {
        const nothing = lines.length === 0 ? ' nothing' : ''
        io.stdout.write(`${namesOfGroup(names, machines.length)}:${nothing}\n`)
        for (const { stream, text } of lines) {
          io[stream].pass(`${io[stream].isTTY ? onlyColors(text) : text}\n`)
        }
      }
    },
  }
}

/** Opens an output, in the chosen format, for a command that runs on several machines. */
export function openMachineOutput(
  io: Io,
  machines: readonly string[],
  { json, fold }: { readonly json: boolean; readonly fold: boolean },
): MachineOutput {
  if (json) return jsonOutput(io)
  return fold ? foldedOutput(io, machines) : prefixedOutput(io, machines)
}
