import type * as Prompts from '@inquirer/prompts'
import { UserError } from '../errors.ts'
import type { Io } from './io.ts'

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

/** Asks on the terminal. Ctrl-C and the end of input count as "no answer": kind `cancelled`. */
async function ask<T>(
  io: Io,
  prompt: (
    prompts: typeof Prompts,
    context: { input: Io['stdin']; output: Io['stderr']; signal: AbortSignal },
  ) => Promise<T>,
): Promise<T> {
  const prompts = await import('@inquirer/prompts')
  using ended = endOfInput(io.stdin)
  const signal = AbortSignal.any([io.signal, ended.signal])
  try {
    return await prompt(prompts, { input: io.stdin, output: io.stderr, signal })
  } catch (error) {
    throw new UserError('cancelled', 'cancelled: nothing was changed', { cause: error })
  }
}

/** Asks a yes-or-no question; Enter means no. */
export const confirm = (io: Io, question: string): Promise<boolean> =>
  ask(io, (prompts, context) => prompts.confirm({ message: question, default: false }, context))

/** Asks for a line of text. */
export const askText = (io: Io, question: string): Promise<string> =>
  ask(io, (prompts, context) => prompts.input({ message: question }, context))

/** Asks for a secret; nothing of it is shown. */
export const askSecret = (io: Io, question: string): Promise<string> =>
  ask(io, (prompts, context) => prompts.password({ message: question }, context))

/** Asks to choose one of several. */
export const choose = (
  io: Io,
  question: string,
  choices: readonly { readonly value: string; readonly description?: string }[],
): Promise<string> =>
  ask(io, (prompts, context) => prompts.select({ message: question, choices }, context))
