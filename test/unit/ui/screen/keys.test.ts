import { expect, test } from 'vitest'
import { readKeys } from '../../../../src/ui/screen/keys.ts'

test.each([
  ['jk', ['j', 'k']],
  ['é日', ['é', '日']],
  ['\u001B[A\u001B[B', ['up', 'down']],
  ['\u001BOA', ['up']],
  ['\u001B[1;5C', ['right']],
  ['\u001B[5~\u001B[6~\u001B[H\u001B[F', ['page-up', 'page-down', 'home', 'end']],
  ['\u001B[Z\t', ['shift-tab', 'tab']],
  ['\r\u007F\u0003\u001A', ['enter', 'backspace', 'ctrl-c', 'ctrl-z']],
  ['\u001Bx', ['escape', 'x']],
  ['\u001B[200~', []],
  ['\u0001', []],
])('reads %j', (input, keys) => {
  expect(readKeys(input)).toEqual({ keys, rest: '' })
})

test('waits for the end of an escape sequence, and reads a lone escape character as a key', () => {
  expect(readKeys('q\u001B[1;')).toEqual({ keys: ['q'], rest: '\u001B[1;' })
  expect(readKeys('\u001B')).toEqual({ keys: [], rest: '\u001B' })
  expect(readKeys('\u001B', true)).toEqual({ keys: ['escape'], rest: '' })
})
