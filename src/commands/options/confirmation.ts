import { UserError } from '../../errors.ts'
import type { AdoptCalls } from '../../operations/adopt/adopt-machine.ts'
import type { Io } from '../../ui/io.ts'
import { canPrompt, confirm } from '../../ui/prompt.ts'
import type { Text } from '../../ui/styled.ts'
import { flag } from '../command.ts'

/** `--yes`, for commands that ask for confirmation. */
export const yesOption = flag('-y, --yes', 'do not ask for confirmation')

/**
 * Requires the user's consent, given with `--yes` or at a prompt. First writes `introduction`, which says what will
 * happen. Throws kind `cancelled` if the answer is no, and kind `usage` if there is no terminal to ask on.
 */
export async function requireConsent(
  io: Io,
  yes: boolean,
  question: string,
  introduction: Text = '',
): Promise<void> {
  const asks = !yes && canPrompt(io)
  if (!asks && introduction !== '') io.stderr.write(introduction)
  if (yes) return
  if (!asks) {
    throw new UserError(
      'usage',
      'confirmation is required, but there is no terminal to prompt on',
      {
        hint: 'to confirm, pass --yes',
      },
    )
  }
  if (!(await confirm(io, question, { introduction }))) {
    throw new UserError('cancelled', 'cancelled: nothing was changed')
  }
}

/**
 * Returns a function that asks whether a jump host should become a machine too. Without a terminal, it becomes one, and
 * a message says so. In either case, its host key must be trusted.
 */
export const confirmJumpOn =
  (io: Io): AdoptCalls['confirmJump'] =>
  async ({ name, leadsTo }) => {
    if (canPrompt(io)) {
      return confirm(io, `${leadsTo} is reached through ${name}. Add ${name} as a machine too?`)
    }
    io.stderr.write(
      `${leadsTo} is reached through ${name}, so ${name} will also be added as a machine.\n`,
    )
    return true
  }
