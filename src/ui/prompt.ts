import { setTimeout as sleep } from 'node:timers/promises'
import type * as Prompts from '@inquirer/prompts'
import { UserError } from '../errors.ts'
import type { Io, ProcessIo } from './io.ts'
import { oneLine, visible } from './visible.ts'

/** How a question is asked. */
interface Manner {
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
  { preface = '', afterCancel = false, takesTypeAhead = false }: Manner,
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
  { fallback = false, ...manner }: Manner & { readonly fallback?: boolean } = {},
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
  }: Manner & {
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

/** Asks for a secret; nothing of it is shown. */
export const askSecret = (io: Io, question: string, manner: Manner = {}): Promise<string> =>
  ask(io, manner, (prompts, context) => prompts.password({ message: oneLine(question) }, context))

/** Asks to choose one of several; Enter means `fallback`, else the first. */
export const choose = <Value extends string>(
  io: Io,
  question: string,
  choices: readonly Choice<Value>[],
  { fallback, ...manner }: Manner & { readonly fallback?: Value | undefined } = {},
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
