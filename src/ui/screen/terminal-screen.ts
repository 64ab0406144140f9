import { StringDecoder } from 'node:string_decoder'
import type { Io } from '../io.ts'
import { alternateScreen } from '../progress/screen.ts'
import { Styled } from '../styled.ts'
import type { Canvas } from './canvas.ts'
import { drawChanges } from './draw-changes.ts'
import { type Key, readKeys } from './keys.ts'

/** Callbacks for events on the terminal. */
export interface ScreenCalls {
  readonly onKey: (key: Key) => void
  /** Called when the size of the terminal has changed, or when the terminal no longer shows what was drawn. */
  readonly onRedraw: () => void
}

/** The whole terminal, for a program that draws on it. Disposing it restores the terminal. */
export interface TerminalScreen extends Disposable {
  readonly columns: number
  readonly rows: number
  /**
   * Draws what has changed since the previous picture, in a single write. Does nothing while another program or a
   * question is using the terminal.
   */
  draw(picture: Canvas): void
  /** Makes the next call of `draw` write every cell, because the terminal shows something else. */
  forget(): void
  /** Whether a picture can be drawn now: nothing else is using the terminal, and it has read the previous pictures. */
  readonly isReady: boolean
  /** Restores the terminal for another program until `work` is done. Until then, only that program receives Ctrl-C. */
  lend<Result>(work: () => Promise<Result>): Promise<Result>
  /** Stops the process, as Ctrl-Z does with other programs, and draws again when the process continues. */
  suspend(): void
}

/**
 * The maximum number of columns and of rows that are used. A limit is needed because a terminal may report any number
 * up to 65,535.
 */
const maxCells = 1000

/** Returns the size of the part of the terminal that is used, in cells. If the size is not known, it is 80 × 24. */
export const screenSize = ({
  columns = 80,
  rows = 24,
}: Pick<Io['stdout'], 'columns' | 'rows'>): Pick<TerminalScreen, 'columns' | 'rows'> => ({
  columns: Math.min(columns, maxCells),
  rows: Math.min(rows, maxCells),
})

/**
 * The time, in milliseconds, after which an escape character counts as a key and not as the beginning of a sequence.
 */
const escapeMs = 40

/**
 * How long to wait for the process to stop, in milliseconds. If it has not stopped by then, the attempt is abandoned.
 */
const stopMs = 300

const ignore = (): void => {}

/**
 * Takes control of the terminal: switches to the alternate screen and raw input, and handles signals from the terminal.
 */
export function openTerminalScreen(io: Io, { onKey, onRedraw }: ScreenCalls): TerminalScreen {
  const { stdin, stdout } = io
  const decoder = new StringDecoder()
  let before: Canvas | undefined
  let users = 0 // the number of programs and prompts that are using the terminal
  let isSuspended = false
  let rest = ''
  let escapeTimer: NodeJS.Timeout | undefined

  const send = (isEnd: boolean, text = ''): void => {
    clearTimeout(escapeTimer)
    const read = readKeys(`${rest}${text}`, isEnd)
    rest = read.rest
    if (rest !== '') escapeTimer = setTimeout(() => send(true), escapeMs)
    for (const key of read.keys) if (users === 0) onKey(key)
  }
  const take = (chunk: Buffer | string): void => send(false, decoder.write(Buffer.from(chunk)))
  const ended = (): void => onKey('ctrl-c')

  const enter = (): void => {
    before = undefined
    stdin.setRawMode?.(true)
    stdin.on('data', take).once('end', ended).resume()
    stdout.raw.write(alternateScreen.enter.rendered) // not through Output, which holds back text during a question
  }
  const leave = (): void => {
    clearTimeout(escapeTimer)
    rest = ''
    stdin.off('data', take).off('end', ended).pause()
    stdin.setRawMode?.(false)
    stdout.raw.write(alternateScreen.leave.rendered)
  }
  const pass = (): void => {
    users += 1
    if (users === 1) leave()
  }
  const regain = (): void => {
    users -= 1
    if (users > 0) return
    enter()
    onRedraw()
  }

  const listening = io.screen.onQuestion((isOpen) => (isOpen ? pass() : regain()))
  const resized = (): void => {
    before = undefined
    onRedraw()
  }
  const suspend = (): void => {
    if (isSuspended || users > 0) return
    isSuspended = true
    leave()
    process.off('SIGTSTP', suspend)
    process.kill(0, 'SIGTSTP')
    // Without a shell (in an orphaned process group), the system ignores the signal, so SIGCONT never arrives.
    setTimeout(resume, stopMs)
  }
  const resume = (): void => {
    if (!isSuspended) return
    isSuspended = false
    process.on('SIGTSTP', suspend)
    enter()
    onRedraw()
  }
  const continued = (): void => {
    if (isSuspended) resume()
    else if (users === 0) {
      stdin.setRawMode?.(true)
      resized()
    }
  }
  const restore = (): void => {
    if (users === 0 && !isSuspended) leave()
  }

  process.once('exit', restore)
  process.on('SIGTSTP', suspend).on('SIGCONT', continued)
  stdout.raw.on('resize', resized)
  enter()
  return {
    get columns() {
      return screenSize(stdout).columns
    },
    get rows() {
      return screenSize(stdout).rows
    },
    get isReady() {
      return users === 0 && !isSuspended && !stdout.needsDrain
    },
    draw(picture) {
      if (users > 0 || isSuspended) return
      const changes = drawChanges(before, picture)
      before = picture
      if (changes !== '') stdout.write(new Styled(changes))
    },
    async lend(work) {
      const kept = process.listeners('SIGINT')
      process.removeAllListeners('SIGINT').on('SIGINT', ignore)
      process.off('SIGTSTP', suspend)
      pass()
      try {
        return await work()
      } finally {
        process.off('SIGINT', ignore).on('SIGTSTP', suspend)
        for (const listener of kept) process.on('SIGINT', listener)
        regain()
      }
    },
    forget: () => (before = undefined),
    suspend,
    [Symbol.dispose]() {
      listening[Symbol.dispose]()
      process.off('exit', restore).off('SIGTSTP', suspend).off('SIGCONT', continued)
      stdout.raw.off('resize', resized)
      restore()
    },
  }
}
