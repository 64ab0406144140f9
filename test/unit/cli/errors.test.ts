import { expect, test } from 'vitest'
import { UserError } from '../../../src/errors.ts'

class Refused extends UserError {}
class RefusedTwice extends Refused {}
class Lost extends UserError {}

test('an error is an instance of its own class and of those above, and of no other', () => {
  const thrown = new RefusedTwice('failed', 'no')
  const known = [UserError, Refused, RefusedTwice, Lost].filter((kind) => thrown instanceof kind)
  expect(known).toEqual([UserError, Refused, RefusedTwice])
  expect(new UserError('failed', 'no') instanceof Refused).toBe(false)
  expect(Object.assign(new Error('no'), { kind: 'failed' }) instanceof UserError).toBe(false)
})

test('an error of another copy of fleet’s code is known as a UserError, and as nothing more', async () => {
  const copied = '../../../src/errors.ts?copy' // not known to the compiler
  const copy = (await import(copied)) as { UserError: typeof UserError }
  expect(copy.UserError).not.toBe(UserError)
  const thrown = new (class extends copy.UserError {})('failed', 'no')
  expect(thrown instanceof UserError).toBe(true)
  expect(new Refused('failed', 'no') instanceof copy.UserError).toBe(true)
  expect(thrown instanceof Refused).toBe(false)
})
