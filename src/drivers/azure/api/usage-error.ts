import { UserError } from '../../../errors.ts'

/** What the person can change, and how. */
export const usageError = (message: string, hint: string): UserError =>
  new UserError('usage', message, { hint })
