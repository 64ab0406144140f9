import type * as Prompts from '@inquirer/prompts'
import { UserError } from '../errors.ts'
import type { Io } from './io.ts'
import { takeScreen } from './screen.ts'

/** How a question is asked. */
interface Manner {
  /** Written before the question, and not answered. */
  readonly preface?: string
  /** Asks though the person has stopped the command: it asks what is to become of the rest. */
  readonly afterCancel?: boolean
}

/** Something to choose. */
export interface Choice<Value extends string = string> {
  readonly value: Value
  /** What is shown; the value itself if not said. */
  readonly name?: string
  readonly description?: string
}

/** Whether there is a person to ask. */
export const canPrompt = (io: Io): boolean => io.stdin.isTTY === true && io.stderr.isTTY === true

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

/**
 * Asks on the terminal, one question at a time; live progress makes way. Ctrl-C and the end of
 * input count as "no answer": kind `cancelled`.
 */
async function ask<T>(
  io: Io,
  { preface = '', afterCancel = false }: Manner,
  prompt: (
    prompts: typeof Prompts,
    context: { input: Io['stdin']; output: Io['stderr']; signal: AbortSignal },
  ) => Promise<T>,
): Promise<T> {
  const prompts = await import('@inquirer/prompts')
  return takeScreen(io, async () => {
    using ended = endOfInput(io.stdin)
    const signal = afterCancel ? ended.signal : AbortSignal.any([io.signal, ended.signal])
    io.stderr.write(preface)
    try {
      return await prompt(prompts, { input: io.stdin, output: io.stderr, signal })
    } catch (error) {
      throw new UserError('cancelled', 'cancelled: nothing was changed', { cause: error })
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
    prompts.confirm({ message: question, default: fallback }, context),
  )

/** Asks for a line of text; Enter means `fallback`. `check` says what is wrong with an answer. */
export const askText = (
  io: Io,
  question: string,
  {
    fallback,
    check = () => undefined,
  }: { fallback?: string | undefined; check?: (answer: string) => string | undefined } = {},
): Promise<string> =>
  ask(io, {}, (prompts, context) =>
    prompts.input(
      {
        message: question,
        ...(fallback !== undefined && { default: fallback }),
        validate: (answer) => check(answer) ?? true,
      },
      context,
    ),
  )

/** Asks for a secret; nothing of it is shown. */
export const askSecret = (io: Io, question: string): Promise<string> =>
  ask(io, {}, (prompts, context) => prompts.password({ message: question }, context))

/** Asks to choose one of several; Enter means `fallback`, else the first. */
export const choose = <Value extends string>(
  io: Io,
  question: string,
  choices: readonly Choice<Value>[],
  { fallback, ...manner }: Manner & { readonly fallback?: Value | undefined } = {},
): Promise<Value> =>
  ask(io, manner, (prompts, context) =>
    prompts.select<Value>(
      { message: question, choices, ...(fallback !== undefined && { default: fallback }) },
      context,
    ),
  )
