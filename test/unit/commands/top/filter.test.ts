import { expect, test } from 'vitest'
import { parseFilter } from '../../../../src/commands/top/model/filter.ts'
import { machine } from './fleet-model.ts'

const row = {
  machine: machine('web-1', { labels: { role: 'web' } }),
  ...{ state: 'exited', machineState: 'running', text: () => 'Shop-Web nginx:1.27' },
}

test.each([
  ['shop', true],
  ['SHOP nginx', true],
  ['shop redis', false],
  ['role=web', true],
  ['role=db', false],
  ['role=db,role=web', true],
  ['!web-*', false],
  ['!db-*', true],
  ['web-*', true],
  ['driver=ssh shop', true],
  ['driver=aws shop', false],
  ['state=exited', true],
  ['state=running', true],
  ['state!=exited', false],
  ['state=paused', false],
  ['role=', false],
  ['=', true],
  ['!', true],
])('evaluates the filter "%s"', (filter, matches) => {
  expect(parseFilter(filter)(row)).toBe(matches)
})

test('a selector does not match a row without a machine', () => {
  expect(parseFilter('role=web')({ ...row, machine: undefined })).toBe(false)
})
