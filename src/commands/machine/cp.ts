import type { Progress } from '../../os/progress.ts'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError, exitCodes, fileProblemOf } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { Copied, CopyProgress } from '../../operations/copy/copy-files.ts'
import type { CopyPath } from '../../operations/copy/remote-path.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'
import { writeResults } from '../../ui/failure.ts'
import { humanSize } from '../../ui/human-units.ts'
import { openProgress } from '../../ui/progress/progress.ts'
import { writeJson } from '../../ui/table.ts'
import { type Invocation, type Targets, defineCommand, several } from '../command.ts'

type CommandContext = Pick<Invocation, 'fleet' | 'io' | 'format'>

/** A completed copy, with its source and target. */
interface Copy extends Copied {
  readonly machine?: string
  readonly from: string
  readonly to: string
  readonly seconds: number
}

/** The name of the step before the first byte is copied. */
const findStep = 'find the files'

export const cp = defineCommand({
  name: 'cp',
  summary: 'Copy files to, from and between machines',
  description:
    'Copy files and directories recursively, like cp -R. The last path is the target; with several sources, it must be an existing directory. A new file or directory appears under its final name only when the copy is complete; an existing file is written in place and keeps its owner and mode. Symbolic links are copied as links. A source that is itself a link on a machine is followed, as with scp, unless the target is on the same machine. FIFOs, devices, sockets and setuid bits are not copied: they are listed, and the exit code is 1. With --on or --all, :PATH is a path on each chosen machine; files from several machines are copied to a separate directory for each machine.',
  arguments: {
    paths: several('paths', 'sources, then the target: local paths or MACHINE:PATH', 'place'),
  },
  targets: 'many',
  gathers: true,
  answers: 'json',
  examples: [
    'fleet cp ./site web-1:/srv',
    'fleet cp web-1:/var/log/app.log .',
    'fleet cp web-1:/srv/site web-2:/srv/',
    'fleet cp ./site :/srv --on role=web',
    'fleet cp :/var/log/app.log ./logs --on role=web',
  ],
  async run({ fleet, io, args, targets, format }) {
    const sources = args.paths.slice(0, -1)
    const target = args.paths.at(-1)
    if (target === undefined || sources.length === 0) {
      throw new UserError('usage', 'specify at least one source, then the target')
    }
    refuseSameNames(sources)
    const { choosesMany } = await import('../../operations/inventory/choose-machines.ts')
    if (choosesMany(targets) || targets.machine !== undefined) {
      return await copyOnEach({ fleet, io, format }, { sources, target, targets })
    }
    refuseUnused(targets, format)
    const { parseCopyPath } = await import('../../operations/copy/remote-path.ts')
    const inventory = await (await fleet.inventory()).read()
    const copy = (typed: string): readonly [string, CopyPath, CopyPath] => [
      typed,
      parseCopyPath(typed, inventory, io),
      parseCopyPath(target, inventory, io),
    ]
    const places = sources.map(copy)
    const subjectOf = (typed: string): string => `copy ${typed} to ${target}`
    using display = await openProgress(io, format, sources.map(subjectOf))
    const copies: Copy[] = []
    for (const [typed, from, to] of places) {
      const request: Request = {
        typed: [typed, target],
        from,
        to,
        intoFolder: places.length > 1,
      }
      const work = async (report: Progress): Promise<Copy> => {
        report(findStep)
        return await copyOne(fleet, request, report)
      }
      copies.push(await display.track(subjectOf(typed), work, { isMachine: false }))
    }
    if (format.json) writeJson(io, places.length === 1 ? copies[0] : copies)
    return reportCopies({ io, format }, copies)
  },
})

/** Throws kind `usage` if two sources have the same name: they would overwrite each other. */
function refuseSameNames(sources: readonly string[]): void {
  const names = sources.map((source) => source.split(/[/:\\]+/).findLast((part) => part !== ''))
  const twice = names.find((name, index) => name !== undefined && names.indexOf(name) !== index)
  if (twice === undefined || /^\.{1,2}$/.test(twice)) return
  throw new UserError('usage', `two sources are named ${twice}; copy them to different directories`)
}

function refuseUnused({ timeoutMs, maxFail }: Targets, { fold }: Invocation['format']): void {
  if (timeoutMs === undefined && maxFail === undefined && !fold) return
  throw new UserError(
    'usage',
    '--fold, --timeout and --max-fail can only be used with more than one machine',
    {
      hint: 'select machines with --on or --all',
    },
  )
}

interface Request {
  readonly typed: readonly [from: string, to: string]
  readonly from: CopyPath
  readonly to: CopyPath
  readonly intoFolder: boolean
}

async function copyOne(
  fleet: Invocation['fleet'],
  { typed: [typedFrom, typedTo], from, to, intoFolder }: Request,
  report: Progress,
): Promise<Copy> {
  const { copyFiles } = await import('../../operations/copy/copy-files.ts')
  const began = performance.now()
  const seconds = () => (performance.now() - began) / 1000
  const progress = (state: CopyProgress) => report('transfer', describeProgress(state, seconds()))
  const copied = await copyFiles(fleet, from, to, progress, { intoFolder })
  return { from: typedFrom, to: typedTo, ...copied, seconds: seconds() }
}

/** Describes the progress of a copy: `45% of 500MB, 110MB/s, 3s left`. */
export function describeProgress({ bytes, total }: CopyProgress, seconds: number): string {
  const rate = seconds > 0 ? bytes / seconds : 0
  const speed = `${humanSize(rate)}/s`
  if (total === undefined || total < bytes || rate === 0) return `${humanSize(bytes)}, ${speed}`
  const percent = total === 0 ? 100 : Math.floor((bytes / total) * 100)
  const left = Math.ceil((total - bytes) / rate)
  const time =
    left < 60 ? `${left}s` : `${Math.floor(left / 60)}m${String(left % 60).padStart(2, '0')}s`
  return `${percent}% of ${humanSize(total)}, ${speed}, ${time} left`
}

/** Whether a source or target is a path on each of the selected machines. */
const onEach = (text: string): boolean => text.startsWith(':')

/** Copies between one place (this computer or a machine) and each of several machines. */
async function copyOnEach(
  { fleet, io, format }: CommandContext,
  { sources, target, targets }: { sources: readonly string[]; target: string; targets: Targets },
): Promise<number> {
  if (onEach(target) === sources.some(onEach) || (!onEach(target) && !sources.every(onEach))) {
    throw new UserError(
      'usage',
      'with --on or --all, either the sources or the target must be :PATH',
      {
        hint: 'for example: fleet cp ./site :/srv --on role=web',
      },
    )
  }
  const { chooseHosts, choosesMany } = await import('../../operations/inventory/choose-machines.ts')
  const { parseCopyPath } = await import('../../operations/copy/remote-path.ts')
  const { collectOutcomes } = await import('../../operations/fan-out/collect-outcomes.ts')
  const machines = await chooseHosts(fleet, targets)
  const inventory: Inventory = await (await fleet.inventory()).read()
  const placeOn = (machine: Machine, text: string): CopyPath =>
    onEach(text) ? { machine, path: text.slice(1) } : parseCopyPath(text, inventory, io)
  const isToThisComputer =
    !onEach(target) && parseCopyPath(target, inventory, io).machine === undefined
  const eachApart = isToThisComputer && choosesMany(targets)
  const names = machines.map(({ name }) => name)
  const copyAll = async () => {
    using display = await openProgress(io, format, names)
    const work = (machine: Machine, signal: AbortSignal): Promise<Copy[]> =>
      display.track(machine.name, async (report) => {
        report(findStep)
        const to = placeOn(machine, target)
        const folder = eachApart ? await folderFor(to.path, machine.name) : undefined
        const copies: Copy[] = []
        for (const source of sources) {
          const request: Request = {
            typed: [source, target],
            from: placeOn(machine, source),
            to: folder === undefined ? to : { path: folder },
            intoFolder: sources.length > 1,
          }
          const copy = await copyOne(fleet.with({ signal }), request, report)
          copies.push({ machine: machine.name, ...copy })
        }
        return copies
      })
    return await collectOutcomes(fleet, machines, work, {
      ...targets,
      concurrency: targets.parallel ?? defaultConcurrency,
    })
  }
  const gathered = await copyAll()
  const copies = gathered.outcomes.flatMap((outcome) => ('value' in outcome ? outcome.value : []))
  if (format.json) writeJson(io, copies)
  const code = reportCopies({ io, format }, copies)
  return writeResults(io, gathered, format) || code
}

/** The default number of machines to copy to at the same time. It is low because they share this computer's network. */
const defaultConcurrency = 8

/** Creates the directory for the files from one of the machines, if files are copied from several. */
async function folderFor(target: string, machine: string): Promise<string> {
  const folder = join(target, machine)
  await mkdir(folder, { recursive: true }).catch((cause: unknown) => {
    throw new UserError('failed', `cannot write ${folder}: ${fileProblemOf(cause)}`, { cause })
  })
  return folder
}

/** Prints what was copied and what was skipped. Returns exit code 1 if items were skipped. */
function reportCopies(
  { io, format }: Pick<Invocation, 'io' | 'format'>,
  copies: readonly Copy[],
): number {
  for (const { machine, from, skipped } of copies) {
    for (const what of skipped) {
      if (!format.json) {
        io.stderr.write(
          `${machine === undefined ? '' : `${machine}: `}skipped or changed: ${from}: ${what}\n`,
        )
      }
    }
  }
  if (!format.json && copies.length > 0) {
    const bytes = copies.reduce((sum, copy) => sum + copy.bytes, 0)
    const seconds = Math.max(...copies.map((copy) => copy.seconds))
    const machines = new Set(copies.map(({ machine }) => machine)).size
    const where = machines > 1 ? ` on ${machines} machines` : ''
    io.stderr.write(
      `${humanSize(bytes)}${where} in ${seconds.toFixed(1)}s, ${humanSize(bytes / seconds)}/s\n`,
    )
  }
  return copies.some(({ skipped }) => skipped.length > 0) ? exitCodes.failed : exitCodes.ok
}
