import { UserError } from '../../errors.ts'
import type { AdoptCalls } from '../../operations/adopt/adopt-machine.ts'
import type { Io } from '../../ui/io.ts'
import { canPrompt, confirm } from '../../ui/prompt.ts'
import { flag } from '../command.ts'

/** `--yes`, for commands that ask. */
export const yesOption = flag('-y, --yes', 'do not ask')

/**
 * Tells in `preface` what is to happen, and makes sure that the person wants it: by `--yes`, or by
 * asking. Throws kind `cancelled` at a no, and kind `usage` where there is nobody to ask.
 */
export async function requireConsent(
  io: Io,
  yes: boolean,
  question: string,
  preface = '',
): Promise<void> {
  const asks = !yes && canPrompt(io)
  if (!asks && preface !== '') io.stderr.write(preface)
  if (yes) return
  if (!asks) {
    throw new UserError('usage', 'this asks first, and there is no terminal to ask on', {
      hint: 'add --yes if you are sure',
    })
  }
  if (!(await confirm(io, question, { preface }))) {
    throw new UserError('cancelled', 'cancelled: nothing was changed')
  }
}

/** Asks whether a jump host becomes a machine too, where there is somebody to ask; else says that it does. Its key must be trusted in any case. */
export const confirmJumpOn =
  (io: Io): AdoptCalls['confirmJump'] =>
  async ({ name, leadsTo }) => {
    if (canPrompt(io)) {
      return confirm(io, `${leadsTo} is reached through ${name}. Add ${name} as a machine too?`)
    }
    io.stderr.write(`${leadsTo} is reached through ${name}, so ${name} becomes a machine too.\n`)
    return true
  }
