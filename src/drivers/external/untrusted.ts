import { UserError } from '../../errors.ts'

/** Thrown if a driver is needed whose code the user does not trust yet. */
export class UntrustedDriver extends UserError {}
