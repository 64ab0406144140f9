import { expect, test } from 'vitest'
import { foldJson } from '../../../../src/commands/top/draw/fold-json.ts'

test.each([
  ['{"level":"info","msg":"hello","time":"now","user":7}', 'INFO hello user=7'],
  ['{"message":"m","severity":"error","ctx":{"a":1}}', 'ERROR m ctx={"a":1}'],
  ['{"user":7}', '{"user":7}'],
  ['{broken', '{broken'],
  ['plain text', 'plain text'],
  ['[1,2]', '[1,2]'],
])('folds "%s" into a single line if it is a JSON log entry', (line, folded) => {
  expect(foldJson(line)).toBe(folded)
})
