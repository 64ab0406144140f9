import { type TestAPI, test } from 'vitest'

const nothing = Object.assign(() => {}, { each: () => () => {} }) as unknown as TestAPI

/** `test` if a condition holds. Otherwise defines no test, where a skipped one would count as not run. */
export const testIf = (condition: boolean): TestAPI => (condition ? test : nothing)
