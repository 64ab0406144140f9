import { type TestAPI, test } from 'vitest'

const nothing = Object.assign(() => {}, { each: () => () => {} }) as unknown as TestAPI

/**
 * Returns `test` if a condition holds. Otherwise, returns a function that defines no test, because a skipped one would
 * count as not run.
 */
export const testIf = (condition: boolean): TestAPI => (condition ? test : nothing)
