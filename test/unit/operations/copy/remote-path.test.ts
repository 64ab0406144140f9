import { describe, expect, test } from 'vitest'
import type { Machine } from '../../../../src/machine/machine.ts'
import { parseCopyPath } from '../../../../src/operations/copy/remote-path.ts'

const machines = ['web-1', 'a', 'db.x'].map(
  (name) => ({ name, driver: 'ssh' }) as unknown as Machine,
)
const inventory = {
  id: '0123abcd',
  defaults: {},
  operators: new Map(),
  profiles: new Map(),
  stacks: new Map(),
  swarms: new Map(),
  entries: new Map(),
  machines: new Map(machines.map((machine) => [machine.name, machine])),
}
const parse = (text: string, platform = 'linux') => {
  const { machine, path } = parseCopyPath(text, inventory, { cwd: '/work', platform })
  return [machine?.name, path]
}

describe('an operand of fleet cp', () => {
  test.each([
    ['web-1:/etc/motd', ['web-1', '/etc/motd']],
    ['web-1:', ['web-1', '']],
    ['web-1:a:b', ['web-1', 'a:b']],
    ['db.x:new\nline', ['db.x', 'new\nline']],
    ['a:/x', ['a', '/x']],
    ['a:x', ['a', 'x']],
    ['file', [undefined, '/work/file']],
    ['dir/', [undefined, '/work/dir/']],
    ['.', [undefined, '/work']],
    ['./web-1:x', [undefined, '/work/web-1:x']],
    ['/tmp/web-1:x', [undefined, '/tmp/web-1:x']],
    [':x', [undefined, '/work/:x']],
    ['-x', [undefined, '/work/-x']],
    ['a:\\x', [undefined, 'a:\\x']],
    ['C:\\x', [undefined, 'C:\\x']],
  ])('is parsed: %j', (text, place) => expect(parse(text)).toEqual(place))

  test.each([
    ['C:/x', [undefined, 'C:/x']],
    ['C:x', [undefined, 'C:x']],
    ['a:/x', ['a', '/x']],
  ])('is parsed on Windows: %j', (text, place) => expect(parse(text, 'win32')).toEqual(place))

  test.each(['web-2:/x', 'C:/x', 'no such:/x'])(
    'with an unknown machine is refused: %j',
    (text) => {
      expect(() => parse(text)).toThrow(expect.objectContaining({ kind: 'unknown-machine' }))
    },
  )
})
