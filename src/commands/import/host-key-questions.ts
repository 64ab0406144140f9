import { UserError } from '../../errors.ts'
import type { HostKeyTrust, UnknownHostKey } from '../../operations/trust/trust-host-key.ts'
import type { Io } from '../../ui/io.ts'
import { askText, canPrompt } from '../../ui/prompt.ts'

/** The possible answers to the question about a host key when several hosts are imported. */
const replies = {
  y: 'trust this key',
  n: 'do not import this host',
  all: 'trust this key and the keys of all other hosts',
  skip: 'do not import this host or any other host with an unknown key',
} as const

type Reply = keyof typeof replies

const readReply = (text: string): Reply | undefined => {
  const typed = text.trim().toLowerCase()
  const full = { yes: 'y', no: 'n' }[typed] ?? typed
  return Object.keys(replies).find((reply): reply is Reply => reply === full)
}

/** The position of a question among all questions: `4 of 12`. */
export interface QuestionNumber {
  readonly number: number
  readonly of: number
}

/**
 * Asks about host keys, one at a time, until an answer applies to all remaining hosts. Without a terminal,
 * unknown keys are refused unless `acceptNew` is set.
 */
export function openHostKeyQuestions(
  io: Io,
  acceptNew: boolean,
): (turn: QuestionNumber) => HostKeyTrust {
  let forAll: 'all' | 'skip' | undefined
  const ask = async (
    { machine, address, type, fingerprint }: UnknownHostKey,
    turn: QuestionNumber,
  ) => {
    const where = `${machine} (${turn.number} of ${turn.of})`
    const text = await askText(io, 'Trust this key? [y/n/all/skip]', {
      introduction: [
        `${where}: ${address} has an unknown ${type} host key:\n  ${fingerprint}\n`,
        "To compare the fingerprint, run this on the host's console: cat /etc/ssh/ssh_host_*.pub | ssh-keygen -lf -\n",
      ].join(''),
      check: (answer) =>
        readReply(answer) === undefined
          ? Object.entries(replies)
              .map(([reply, meaning]) => `${reply}: ${meaning}`)
              .join('; ')
          : undefined,
    })
    const reply = readReply(text)
    if (reply === 'all' || reply === 'skip') forAll = reply
    return reply === 'y' || reply === 'all'
  }
  return (turn) => ({
    acceptNew,
    confirm: canPrompt(io)
      ? async (key) => {
          if (forAll === 'skip') {
            throw new UserError('cancelled', `skipped: the host key for ${key.address} is unknown`)
          }
          return forAll === 'all' || ask(key, turn)
        }
      : undefined,
  })
}
