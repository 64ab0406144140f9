import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import type { Question } from 'inquirer'
import { UserError } from '../errors.ts'
import type { Io } from './io.ts'
import { type Text, render } from './styled.ts'
import { oneLine } from './visible.ts'

/** Options of a prompt. */
interface PromptOptions {
  /** Text above the question. */
  readonly introduction?: Text
  /** Whether to ask even after Ctrl-C. Used for the question of how to continue. */
  readonly afterCancel?: boolean
  /** Whether to accept input that was typed before the question was shown. By default, such input is discarded. */
  readonly takesTypeAhead?: boolean
}

/** An item that the user can choose. */
export interface Choice<Value extends string = string> {
  readonly value: Value
  /** The text of the item (default: the value). */
  readonly name?: string
  readonly description?: string
}

/** Whether the command runs on a terminal, so that it can ask questions. */
export const canPrompt = (io: Pick<Io, 'stdin' | 'stderr'>): boolean =>
  io.stdin.isTTY === true && io.stderr.isTTY

/** The prefix that inquirer writes before a question. Its prefix for a validation error, `> `, has the same length. */
const mark = '? '

/**
 * Breaks the text of a prompt between words into lines of at most `columns` characters. Without this, inquirer would
 * break the text within words.
 */
export function fitPrompt(text: string, columns = 80): string {
  const lines: string[] = []
  for (const word of `${mark}${oneLine(text)}`.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= columns) {
      lines[lines.length - 1] = `${last} ${word}`
    } else lines.push(word)
  }
  return lines.join('\n').slice(mark.length)
}

/**
 * Returns a signal that is aborted on Ctrl-D and when the terminal is closed. Without it, a prompt would then wait
 * forever.
 */
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
 * The time without input, in milliseconds, after which everything that was typed earlier is assumed to have been read.
 */
const quietMs = 30

/**
 * Discards what was typed before the question, because it was meant for a shell or for another question. Ctrl-C still
 * cancels. Raw mode is required to read an unfinished line.
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
      for (let turns = 0; turns < 2; turns += 1) await turn() // after a late timer, input may not have been read yet
    }
  } finally {
    stdin.off('data', take)
    stdin.pause()
  }
  if (interrupted) throw new Error('interrupted')
}

/**
 * Asks a question on the terminal. Only one question is asked at a time, and all other output is held back. Throws kind
 * `cancelled` on Ctrl-C and at the end of the input.
 */
async function ask<T>(
  io: Io,
  { introduction = '', afterCancel = false, takesTypeAhead = false }: PromptOptions,
  question: Omit<Question, 'name' | 'message'> & { readonly message: string },
): Promise<T> {
  const { createPromptModule } = await import('inquirer')
  return io.screen.ask(async () => {
    using ended = endOfInput(io.stdin)
    const signal = afterCancel ? ended.signal : AbortSignal.any([io.signal, ended.signal])
    const output = io.stderr.raw
    try {
      if (!takesTypeAhead) await dropTypeAhead(io.stdin, signal)
      output.write(render(introduction))
      const prompt = createPromptModule({ input: io.stdin, output, signal })
      const message = fitPrompt(question.message, io.stderr.columns)
      const { answer } = await prompt<{ answer: T }>({ ...question, message, name: 'answer' })
      return answer
    } catch (error) {
      throw new UserError('cancelled', 'cancelled: nothing was changed', { cause: error })
    } finally {
      io.stdin.setRawMode?.(false)
    }
  })
}

/** Asks a yes-or-no question. Enter means `fallback` (default: no). */
export const confirm = (
  io: Io,
  question: string,
  { fallback = false, ...options }: PromptOptions & { readonly fallback?: boolean } = {},
): Promise<boolean> => ask(io, options, { type: 'confirm', message: question, default: fallback })

/**
 * Asks for a line of text. Enter means `fallback`. `check` returns what is wrong with an answer, or undefined if the
 * answer is valid.
 */
export async function askText(
  io: Io,
  question: string,
  {
    fallback,
    check = () => undefined,
    ...options
  }: PromptOptions & {
    fallback?: string | undefined
    check?: (answer: string) => string | undefined
  } = {},
): Promise<string> {
  const shown = fallback === undefined ? undefined : oneLine(fallback)
  const original = (answer: string) => (answer === shown ? (fallback ?? '') : answer)
  const answer = await ask<string>(io, options, {
    type: 'input',
    message: question,
    ...(shown !== undefined && { default: shown }),
    validate(answer: string) {
      const problem = check(original(answer))
      return problem === undefined || fitPrompt(problem, io.stderr.columns)
    },
  })
  return original(answer)
}

/** A question that is asked while fleet connects to a host. */
interface HostQuestion {
  readonly text: string
  readonly secret: boolean
  /** The login that the text comes from, as `user@host`. If absent, the text is fleet's own. */
  readonly from?: string
  readonly notes?: readonly string[]
  /** Set if no answer is expected. Instead, the user must do something, such as touch a security key. */
  readonly isNotice?: true
}

/** The maximum length of a line from a host, in characters, and the maximum number of such lines. */
const longestLine = 200
const maxLines = 10

/** Asks the user to choose an item. Enter means `fallback` (default: the first item). */
export const choose = <Value extends string>(
  io: Io,
  question: string,
  choices: readonly Choice<Value>[],
  { fallback, ...options }: PromptOptions & { readonly fallback?: Value | undefined } = {},
): Promise<Value> =>
  ask(io, options, {
    type: 'select',
    message: question,
    choices: choices.map(({ value, name = value, description }) => ({
      value,
      name: oneLine(name),
      ...(description !== undefined && { description: oneLine(description) }),
    })),
    ...(fallback !== undefined && { default: fallback }),
  })

/** Matches questions about keys on this computer. No host has a reason to ask for the passphrases of such keys. */
const aboutKeys = /pass\s*phrase|private key|\.ssh\b|\bid_(?:rsa|dsa|ecdsa|ed25519)/i

/**
 * Asks a question that came up while connecting to a host. A secret answer is not shown. Text from the host is prefixed
 * with the login (`(user@host) `), as in ssh; none of fleet's own questions begin like that. A question from the host
 * that looks like fleet's prompt for a passphrase is asked only after a warning.
 */
export async function askQuestion(
  io: Io,
  { text, secret, from, notes = [], isNotice }: HostQuestion,
): Promise<string> {
  if (isNotice) {
    io.stderr.write(`${oneLine(text)}\n`)
    return ''
  }
  if (from === undefined) return askLine(io, { message: text, secret })
  const prefixed = (line: string) => `(${oneLine(from)}) ${oneLine(line.trim(), longestLine)}`
  const lines = notes.flatMap((note) => note.split(/\r?\n/)).filter((line) => line.trim() !== '')
  const introduction = lines.slice(0, maxLines).map((line) => `${prefixed(line)}\n`)
  if (aboutKeys.test([text, ...notes].join('\n'))) await warnOfImitation(io, prefixed(text), from)
  return askLine(io, { message: prefixed(text), secret, introduction: introduction.join('') })
}

function askLine(
  io: Io,
  {
    message,
    secret,
    introduction = '',
  }: { message: string; secret: boolean; introduction?: string },
): Promise<string> {
  return ask(io, { introduction }, { type: secret ? 'password' : 'input', message })
}

/**
 * Warns that a host is asking for what looks like a secret on this computer. Throws kind `cancelled` unless the user
 * chooses to answer.
 */
async function warnOfImitation(io: Io, question: string, from: string): Promise<void> {
  const choice = await choose(
    io,
    "This prompt comes from the host, which will receive your answer. Never enter your key's passphrase here.",
    [
      { value: 'cancel', name: `do not answer (${from})` },
      { value: 'answer', name: `answer (${from})` },
    ],
    { introduction: `${question}\n` },
  )
  if (choice === 'answer') return
  throw new UserError('cancelled', `cancelled: the prompt from ${from} was not answered`)
}
