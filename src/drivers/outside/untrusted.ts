import { UserError } from '../../errors.ts'

/** Thrown where a driver is wanted whose code may not run before the person has said so. */
export class UntrustedDriver extends UserError {
  static override [Symbol.hasInstance](thrown: unknown): thrown is UntrustedDriver {
    return thrown instanceof UserError && 'isUntrusted' in thrown
  }

  readonly isUntrusted = true
}
