import { UserError } from '../../../errors.ts'

/** An error that the user can fix, with a hint. */
export const usageError = (message: string, hint: string): UserError =>
  new UserError('usage', message, { hint })
