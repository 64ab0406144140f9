import { UserError } from '../../errors.ts'

/** Thrown where a driver is wanted whose code may not run before the person has said so. */
export class UntrustedDriver extends UserError {}
