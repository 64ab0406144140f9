import { type ReadCommand, readCommand } from '../../docker/verbs.ts'
import { operandsOf, valuesOf } from '../../docker/command-line.ts'
import { UserError } from '../../errors.ts'
import { shellQuote } from '../../os/shell-quote.ts'

const hasFlag = ({ words }: ReadCommand, ...names: string[]): boolean =>
  words.some((word) => word.kind === 'flag' && names.includes(word.name) && word.value !== 'false')

const inputReason = 'reads from standard input, so it works with only one machine'
const outputReason = 'writes a file to this computer, so it works with only one machine'

/** Returns why a docker command works on only one machine; undefined if it works on several. */
function reasonFor(command: ReadCommand): string | undefined {
  const operands = operandsOf(command.words)
  switch (command.verb) {
    case 'save':
      return outputReason
    case 'load':
      return valuesOf(command.words, '--input').length === 0 ? inputReason : undefined
    case 'import':
      return operands[0] === '-' ? inputReason : undefined
    case 'run':
    case 'exec':
      return hasFlag(command, '-i', '--interactive', '-t', '--tty') ? inputReason : undefined
    case 'cp': {
      const [from, to = ''] = operands
      if (from === '-') return inputReason
      return /^[^/.][^/]*:/.test(to) ? undefined : outputReason
    }
    case 'build':
      return operands.includes('-') || valuesOf(command.words, '--file').includes('-')
        ? inputReason
        : undefined
    case 'login':
      return command.spelling === 'login' && !hasFlag(command, '-p', '--password')
        ? inputReason
        : undefined
    case 'pull':
    case 'compose':
      return undefined
  }
}

/** Refuses docker commands that work on only one machine. Throws kind `usage`. */
export function checkForMany(words: readonly string[]): void {
  const command = readCommand(words)
  const [spelling, reason] =
    command === undefined
      ? [
          words.join(' '),
          /^(?:container )?attach\b/.test(words.join(' ')) ? inputReason : undefined,
        ]
      : [command.spelling, reasonFor(command)]
  if (reason === undefined) return
  throw new UserError('usage', `docker ${spelling} ${reason}`, {
    hint: `to choose one machine: fleet --machine NAME ${shellQuote(words[0] ?? '')} …`,
  })
}
