import { describe, expect, it } from 'vitest'
import {
  editText,
  head,
  keep,
  label,
  ready,
  remove,
  type Change,
} from '../../../support/inventory/edit-text.ts'

describe('editing the text of an inventory: adding, changing or removing', () => {
  it.each<[what: string, before: string, name: string, change: Change, after: string]>([
    [
      'a first machine after a heading alone',
      'machines:\n',
      'a',
      keep,
      'machines:\n  a:\n    driver: new\n',
    ],
    [
      'a first machine instead of {}, before the comments below',
      'machines: {} # ours\n# an example\n',
      'a',
      keep,
      'machines: # ours\n  a:\n    driver: new\n# an example\n',
    ],
    [
      'a first machine instead of null',
      'machines: ~\n\n# end\n',
      'a',
      keep,
      'machines:\n  a:\n    driver: new\n\n# end\n',
    ],
    [
      'a first machine without a heading or a last line break',
      'defaults:\n  ssh: { user: x } # c',
      'a',
      keep,
      'defaults:\n  ssh: { user: x } # c\nmachines:\n  a:\n    driver: new',
    ],
    [
      'a machine where its name sorts, apart by a blank line as the others',
      'machines:\n  a:\n    driver: x # c\n\n  # of c\n  c:\n    driver: x\n',
      'b',
      keep,
      'machines:\n  a:\n    driver: x # c\n\n  b:\n    driver: new\n\n  # of c\n  c:\n    driver: x\n',
    ],
    [
      'a machine among others without blank lines',
      'machines:\n  m-2: { driver: x }\n  m-10: { driver: x }\n\n# end\n',
      'm-11',
      keep,
      'machines:\n  m-2: { driver: x }\n  m-10: { driver: x }\n  m-11:\n    driver: new\n\n# end\n',
    ],
    [
      'a machine that sorts first, before the comment of the next',
      'machines:\n  # All of them.\n\n  # b\n  b:\n    driver: x\n',
      'a',
      keep,
      'machines:\n  # All of them.\n\n  a:\n    driver: new\n\n  # b\n  b:\n    driver: x\n',
    ],
    [
      'a machine after one that ends in comments of its own',
      'machines:\n  a:\n    driver: x\n    # later\n\n    # more\n  # of z\n  z: { driver: x }\n',
      'b',
      keep,
      'machines:\n  a:\n    driver: x\n    # later\n\n    # more\n  b:\n    driver: new\n  # of z\n  z: { driver: x }\n',
    ],
    [
      'a record, at the end, in the indentation of the file',
      'machines:\n    a:\n        labels: {x: y}   # c\n        driver: x\n    b:\n        driver: x\n',
      'a',
      ready,
      'machines:\n    a:\n        labels: {x: y}   # c\n        driver: x\n        host:\n            phase: ready\n            address: 10.0.0.1\n    b:\n        driver: x\n',
    ],
    [
      'lines of Windows',
      'machines:\r\n  a:\r\n    driver: x # c\r\n',
      'a',
      ready,
      'machines:\r\n  a:\r\n    driver: x # c\r\n    host:\r\n      phase: ready\r\n      address: 10.0.0.1\r\n',
    ],
    [
      'one value of a flow map',
      'machines:\n  a:\n    driver: \'x\'\n    labels: { role: "web",env:  prod } # c\n',
      'a',
      label({ env: 'test' }),
      'machines:\n  a:\n    driver: \'x\'\n    labels: { role: "web",env:  test } # c\n',
    ],
    [
      'one more key in a flow map over many lines',
      'machines:\n  a:\n    driver: x\n    labels: {\n      role: web, # r\n      env: prod # e\n    }\n',
      'a',
      label({ rack: '12' }),
      'machines:\n  a:\n    driver: x\n    labels: {\n      role: web, # r\n      env: prod, rack: "12" # e\n    }\n',
    ],
    [
      'keys taken out of a flow map',
      'machines:\n  a: { driver: x, labels: { a: b, c: d }, protected: true }\n',
      'a',
      ({ driver }) => ({ driver, labels: { c: 'd' } }),
      'machines:\n  a: { driver: x, labels: { c: d } }\n',
    ],
    [
      'keys of a block map, in the order of the schema',
      'machines:\n  a:\n    driver: x # d\n    # about options\n    options:\n      k: 1 # one\n      l: 2\n',
      'a',
      (entry) => ({ driver: 'x', labels: { b: 'c' }, options: { ...entry.options, l: [3] } }),
      'machines:\n  a:\n    driver: x # d\n    labels: { b: c }\n    # about options\n    options:\n      k: 1 # one\n      l: [3]\n',
    ],
    [
      'a block map gone with its comment',
      'machines:\n  a:\n    driver: x\n    # about labels\n    labels:\n      a: b # c\n      # inside\n    # about via\n    via: b\n',
      'a',
      ({ labels: _, ...entry }) => entry,
      'machines:\n  a:\n    driver: x\n    # about via\n    via: b\n',
    ],
    [
      'a list in lines, without indentation',
      'machines:\n  a:\n    driver: x\n    host:\n      phase: ready\n      hostKeys:\n      - a b # c\n      - c d\n      port: 2\n',
      'a',
      (entry) => ({ ...entry, host: { phase: 'ready', hostKeys: ['e f'], port: 2 } }),
      'machines:\n  a:\n    driver: x\n    host:\n      phase: ready\n      hostKeys:\n      - e f\n      port: 2\n',
    ],
    [
      'a text in lines',
      'machines:\n  a:\n    driver: x\n    options:\n      note: >-\n        one\n        two\n\n      k: v\n',
      'a',
      (entry) => ({ ...entry, options: { note: 'three', k: 'v' } }),
      'machines:\n  a:\n    driver: x\n    options:\n      note: three\n\n      k: v\n',
    ],
    [
      'a machine out of the middle, with its own comments and one gap',
      'machines:\n  a:\n    driver: x\n\n  # of b\n  b: # b\n    driver: x\n    # in b\n\n  # of c\n  c:\n    driver: x\n',
      'b',
      remove,
      'machines:\n  a:\n    driver: x\n\n  # of c\n  c:\n    driver: x\n',
    ],
    [
      'the last of several, at the end of a file without line break',
      'machines:\n  a:\n    driver: x\n\n  b:\n    driver: x',
      'b',
      remove,
      'machines:\n  a:\n    driver: x',
    ],
    [
      'the only machine',
      'machines: # ours: all\n  a:\n    driver: x\n# end\n',
      'a',
      remove,
      'machines: {} # ours: all\n# end\n',
    ],
    [
      'a quoted name, and a name that is a number',
      'machines:\n  "0": {driver: x}\n  \'b\':\n    driver: x\n',
      'b',
      label({ a: 'true' }),
      'machines:\n  "0": {driver: x}\n  \'b\':\n    driver: x\n    labels: { a: "true" }\n',
    ],
    [
      'machines in one flow map',
      'machines: { a: {driver: x}, b: {driver: x} } # c\n',
      'c',
      keep,
      'machines: { a: {driver: x}, b: {driver: x}, c: { driver: new } } # c\n',
    ],
    [
      'a record besides a merge key',
      'defaults: { x: &x { driver: x } }\nmachines:\n  a:\n    <<: *x\n',
      'a',
      ready,
      'defaults: { x: &x { driver: x } }\nmachines:\n  a:\n    <<: *x\n    host:\n      phase: ready\n      address: 10.0.0.1\n',
    ],
  ])('%s', (_, before, name, change, after) => {
    const start = before.includes('\r\n') ? head.replaceAll('\n', '\r\n') : head
    expect(editText(start + before, name, change)).toBe(start + after)
  })

  it('keeps JSON on a single line', () => {
    const text = '{"version": 1, "id": "4f0c2f6e", "machines": {"a": {"driver": "x"}}}'
    const added = editText(text, 'b', keep)
    expect(added).toBe(
      '{"version": 1, "id": "4f0c2f6e", "machines": {"a": {"driver": "x"}, b: { driver: new }}}',
    )
    expect(editText(added, 'b', remove)).toBe(text)
  })

  it.each([
    ['an alias for an entry', 'machines:\n  a: &a\n    driver: x\n  b: *a\n', 'b', ready],
    ['an entry that others use', 'machines:\n  a: &a\n    driver: x\n  b: *a\n', 'a', ready],
    ['an anchor that goes away', 'machines:\n  a: &a\n    driver: x\n  b: *a\n', 'a', remove],
    [
      'a key that comes by merging',
      'defaults: { x: &x { driver: x, protected: true } }\nmachines:\n  a:\n    <<: *x\n',
      'a',
      ({ driver }) => ({ driver }),
    ],
    ['an alias for the machines', 'defaults: &d { a: { driver: x } }\nmachines: *d\n', 'b', keep],
  ] as [string, string, string, Change][])('refuses a change to %s', (_, text, name, change) => {
    expect(() => editText(head + text, name, change)).toThrow(
      expect.objectContaining({ name: 'UserError', kind: 'inventory', machine: name }),
    )
  })
})
