import { expect, test } from 'vitest'
import { UserError } from '../../../src/errors.ts'

class Refused extends UserError {}
class RefusedTwice extends Refused {}
class Lost extends UserError {}

test('an error is an instance of its class and its superclasses only', () => {
  const thrown = new RefusedTwice('failed', 'no')
  const known = [UserError, Refused, RefusedTwice, Lost].filter((kind) => thrown instanceof kind)
  expect(known).toEqual([UserError, Refused, RefusedTwice])
  expect(new UserError('failed', 'no') instanceof Refused).toBe(false)
  expect(Object.assign(new Error('no'), { kind: 'failed' }) instanceof UserError).toBe(false)
})

test('an error from another copy of fleet’s code is a UserError, but not an instance of a subclass', async () => {
  const copied = '../../../src/errors.ts?copy' // a path that the compiler cannot resolve
  const copy = (await import(copied)) as { UserError: typeof UserError }
  expect(copy.UserError).not.toBe(UserError)
  const thrown = new (class extends copy.UserError {})('failed', 'no')
  expect(thrown instanceof UserError).toBe(true)
  expect(new Refused('failed', 'no') instanceof copy.UserError).toBe(true)
  expect(thrown instanceof Refused).toBe(false)
})
