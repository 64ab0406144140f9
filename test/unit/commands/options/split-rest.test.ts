import { expect, test } from 'vitest'
import { splitRest } from '../../../../src/commands/options/targets.ts'

test.each([
  ['ssh web-1 ls -la', 'ssh web-1', 'ls -la'],
  ['ssh -L 80:x:80 web-1 ls', 'ssh -L 80:x:80 web-1', 'ls'],
  ['ssh -NL 80:x:80 web-1', 'ssh -NL 80:x:80 web-1', undefined],
  ['ssh -AL 80:x:80 -R1080 web-1 ls', 'ssh -AL 80:x:80 -R1080 web-1', 'ls'],
  ['ssh --dynamic-forward 1080 -m web-1 -- ls', 'ssh --dynamic-forward 1080 -m web-1', 'ls'],
  ['ps -a web-1 x', 'ps -a web-1 x', undefined],
])('splits the words of "%s"', (line, argv, rest) => {
  const split = splitRest(line.split(' '))
  expect([split.argv.join(' '), split.rest?.words.join(' ')]).toEqual([argv, rest])
})
