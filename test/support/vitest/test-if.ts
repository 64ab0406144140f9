import { type TestAPI, test } from 'vitest'

const nothing = Object.assign(() => {}, { each: () => () => {} }) as unknown as TestAPI

/**
 * Returns `test` if a condition holds; otherwise, a function that defines no test (a skipped test would count as not
 * run).
 */
export const testIf = (condition: boolean): TestAPI => (condition ? test : nothing)
