import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  formatEnvironment,
  parseEnvironment,
} from '../../../../src/provision/engine/settings/environment-file.ts'

const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,12}$/)
const value = fc.option(fc.stringMatching(/^[ -~]{0,20}$/), { nil: null })

test('the systemd drop-in with environment variables is parsed as it was written', () => {
  fc.assert(
    fc.property(fc.dictionary(name, value, { noNullPrototype: true }), (environment) => {
      expect(parseEnvironment(formatEnvironment(environment))).toEqual(environment)
    }),
  )
})

test('quotes, backslashes and percent signs are escaped for systemd', () => {
  expect(formatEnvironment({ A: 'x "y" \\ 5%', B: null })).toContain(
    'Environment="A=x \\"y\\" \\\\ 5%%"\nUnsetEnvironment=B\n',
  )
})
