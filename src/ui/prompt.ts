import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import type * as Prompts from '@inquirer/prompts'
import { UserError } from '../errors.ts'
import type { Io, ProcessIo } from './io.ts'
import { oneLine, visible } from './visible.ts'

/** How a question is asked. */
interface PromptOptions {
  /** Written before the question, and not answered. */
  readonly preface?: string
  /** Asks though the person has stopped the command: it asks what is to become of the rest. */
  readonly afterCancel?: boolean
  /** What was typed before the question was there counts as its answer; else it is dropped. */
  readonly takesTypeAhead?: boolean
}

/** Something to choose. */
export interface Choice<Value extends string = string> {
  readonly value: Value
  /** What is shown; the value itself if not said. */
  readonly name?: string
  readonly description?: string
}

/** Whether there is a person to ask. */
export const canPrompt = (io: Pick<Io, 'stdin' | 'stderr'>): boolean =>
  io.stdin.isTTY === true && io.stderr.isTTY

/** Aborts at Ctrl-D and when the terminal goes away, at which a prompt would wait for ever. */
function endOfInput(stdin: Io['stdin']): { signal: AbortSignal } & Disposable {
  const ended = new AbortController()
  const end = () => ended.abort()
  const watchKey = (_text: string, key: { ctrl?: boolean; name?: string } | undefined) => {
    if (key?.ctrl === true && key.name === 'd') end()
  }
  stdin.on('keypress', watchKey).once('end', end)
  return {
    signal: ended.signal,
    [Symbol.dispose]: () => void stdin.off('keypress', watchKey).off('end', end),
  }
}

/** How long nothing must have come for all that was typed before to count as read, in milliseconds. */
const quietMs = 30

/**
 * Drops what was typed before now: it was meant for a shell, or for another question. Ctrl-C among it stands. A terminal
 * hands out an unfinished line only once it is raw.
 */
async function dropTypeAhead(stdin: Io['stdin'], signal: AbortSignal): Promise<void> {
  let isQuiet = false
  let interrupted = false
  const take = (chunk: Buffer | string) => {
    isQuiet = false
    interrupted ||= chunk.toString().includes('\u0003')
  }
  stdin.setRawMode?.(true)
  stdin.on('data', take)
  try {
    while (!isQuiet && !signal.aborted) {
      isQuiet = true
      await sleep(quietMs)
      for (let turns = 0; turns < 2; turns += 1) await turn() // where timers are late, what came is not read yet
    }
  } finally {
    stdin.off('data', take)
    stdin.pause()
  }
  if (interrupted) throw new Error('interrupted')
}

/**
 * Asks on the terminal, one question at a time; all other output waits meanwhile. Ctrl-C and the end of
 * input count as "no answer": kind `cancelled`.
 */
async function ask<T>(
  io: Io,
  { preface = '', afterCancel = false, takesTypeAhead = false }: PromptOptions,
  prompt: (
    prompts: typeof Prompts,
    context: { input: Io['stdin']; output: ProcessIo['stderr']; signal: AbortSignal },
  ) => Promise<T>,
): Promise<T> {
  const prompts = await import('@inquirer/prompts')
  return io.screen.ask(async () => {
    using ended = endOfInput(io.stdin)
    const signal = afterCancel ? ended.signal : AbortSignal.any([io.signal, ended.signal])
    const output = io.stderr.raw
    try {
      if (!takesTypeAhead) await dropTypeAhead(io.stdin, signal)
      output.write(visible(preface))
      return await prompt(prompts, { input: io.stdin, output, signal })
    } catch (error) {
      throw new UserError('cancelled', 'cancelled: nothing was changed', { cause: error })
    } finally {
      io.stdin.setRawMode?.(false)
    }
  })
}

/** Asks a yes-or-no question; Enter means no, unless `fallback`. */
export const confirm = (
  io: Io,
  question: string,
  { fallback = false, ...manner }: PromptOptions & { readonly fallback?: boolean } = {},
): Promise<boolean> =>
  ask(io, manner, (prompts, context) =>
    prompts.confirm({ message: oneLine(question), default: fallback }, context),
  )

/** Asks for a line of text; Enter means `fallback`. `check` says what is wrong with an answer. */
export const askText = (
  io: Io,
  question: string,
  {
    fallback,
    check = () => undefined,
    ...manner
  }: PromptOptions & {
    fallback?: string | undefined
    check?: (answer: string) => string | undefined
  } = {},
): Promise<string> =>
  ask(io, manner, async (prompts, context) => {
    const shown = fallback === undefined ? undefined : oneLine(fallback)
    const answer = await prompts.input(
      {
        message: oneLine(question),
        ...(shown !== undefined && { default: shown }),
        validate(answer) {
          const trouble = check(answer === shown ? (fallback ?? '') : answer)
          return trouble === undefined || oneLine(trouble)
        },
      },
      context,
    )
    return answer === shown ? (fallback ?? '') : answer
  })

/** A question that comes up while a host is connected to. */
interface Question {
  readonly text: string
  readonly secret: boolean
  /** The login that the text is from; of one without, the text is fleet's own. */
  readonly from?: string
  readonly notes?: readonly string[]
}

/** How much of one line of a host's is shown, and how many lines. */
const longestLine = 200
const mostLines = 10

/** Asks to choose one of several; Enter means `fallback`, else the first. */
export const choose = <Value extends string>(
  io: Io,
  question: string,
  choices: readonly Choice<Value>[],
  { fallback, ...manner }: PromptOptions & { readonly fallback?: Value | undefined } = {},
): Promise<Value> =>
  ask(io, manner, (prompts, context) =>
    prompts.select<Value>(
      {
        message: oneLine(question),
        choices: choices.map(({ value, name = value, description }) => ({
          value,
          name: oneLine(name),
          ...(description !== undefined && { description: oneLine(description) }),
        })),
        ...(fallback !== undefined && { default: fallback }),
      },
      context,
    ),
  )

/** What only questions about keys of this computer say, which no host needs to know of. */
const aboutKeys = /pass\s*phrase|private key|\.ssh\b|\bid_(?:rsa|dsa|ecdsa|ed25519)/i

/**
 * Asks a question of a connection; nothing of a secret is shown. What a host chose to say is told as ssh tells it, every
 * line behind the login (`(user@host) `), which none of fleet's own questions begins with. One that sounds like fleet's
 * question for a passphrase is answered only by who says first that the host is to have it.
 */
export async function askQuestion(
  io: Io,
  { text, secret, from, notes = [] }: Question,
): Promise<string> {
  if (from === undefined) return askLine(io, { message: oneLine(text), secret })
  const told = (line: string) => `(${oneLine(from)}) ${oneLine(line.trim(), longestLine)}`
  const lines = notes.flatMap((note) => note.split(/\r?\n/)).filter((line) => line.trim() !== '')
  const preface = lines.slice(0, mostLines).map((line) => `${told(line)}\n`)
  if (aboutKeys.test([text, ...notes].join('\n'))) await warnOfImitation(io, told(text), from)
  return askLine(io, { message: told(text), secret, preface: preface.join('') })
}

function askLine(
  io: Io,
  { message, secret, preface = '' }: { message: string; secret: boolean; preface?: string },
): Promise<string> {
  return ask(io, { preface }, (prompts, context) =>
    secret ? prompts.password({ message }, context) : prompts.input({ message }, context),
  )
}

/** Has the person say that a host is to have what sounds like a secret of this computer. Throws kind `cancelled` otherwise. */
async function warnOfImitation(io: Io, question: string, from: string): Promise<void> {
  const choice = await choose(
    io,
    'The host asks this, not fleet, and gets the answer. A passphrase of your key is for no host.',
    [
      { value: 'give up', name: `(${from}) gets no answer` },
      { value: 'answer', name: `(${from}) gets what I type next` },
    ],
    { preface: `${question}\n` },
  )
  if (choice === 'answer') return
  throw new UserError('cancelled', `cancelled: ${from} got no answer to its question`)
}
