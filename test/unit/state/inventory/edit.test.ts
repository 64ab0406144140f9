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

describe('editing the text of an inventory', () => {
  it.each<[what: string, before: string, name: string, change: Change, after: string]>([
    [
      'adds the first machine below an empty machines key',
      'machines:\n',
      'a',
      keep,
      'machines:\n  a:\n    driver: new\n',
    ],
    [
      'adds the first machine in place of {}, before the following comments',
      'machines: {} # ours\n# an example\n',
      'a',
      keep,
      'machines: # ours\n  a:\n    driver: new\n# an example\n',
    ],
    [
      'adds the first machine in place of null',
      'machines: ~\n\n# end\n',
      'a',
      keep,
      'machines:\n  a:\n    driver: new\n\n# end\n',
    ],
    [
      'adds the first machine to a file without a machines key or final newline',
      'defaults:\n  ssh: { user: x } # c',
      'a',
      keep,
      'defaults:\n  ssh: { user: x } # c\nmachines:\n  a:\n    driver: new',
    ],
    [
      'adds a machine in the order of names, separated by blank lines like the others',
      'machines:\n  a:\n    driver: x # c\n\n  # of c\n  c:\n    driver: x\n',
      'b',
      keep,
      'machines:\n  a:\n    driver: x # c\n\n  b:\n    driver: new\n\n  # of c\n  c:\n    driver: x\n',
    ],
    [
      'adds a machine without blank lines if the others have none',
      'machines:\n  m-2: { driver: x }\n  m-10: { driver: x }\n\n# end\n',
      'm-11',
      keep,
      'machines:\n  m-2: { driver: x }\n  m-10: { driver: x }\n  m-11:\n    driver: new\n\n# end\n',
    ],
    [
      'adds the first machine in the order of names before the comment of the next',
      'machines:\n  # All of them.\n\n  # b\n  b:\n    driver: x\n',
      'a',
      keep,
      'machines:\n  # All of them.\n\n  a:\n    driver: new\n\n  # b\n  b:\n    driver: x\n',
    ],
    [
      'adds a machine after an entry that ends with comments',
      'machines:\n  a:\n    driver: x\n    # later\n\n    # more\n  # of z\n  z: { driver: x }\n',
      'b',
      keep,
      'machines:\n  a:\n    driver: x\n    # later\n\n    # more\n  b:\n    driver: new\n  # of z\n  z: { driver: x }\n',
    ],
    [
      'adds a host section at the end of an entry, with the indentation of the file',
      'machines:\n    a:\n        labels: {x: y}   # c\n        driver: x\n    b:\n        driver: x\n',
      'a',
      ready,
      'machines:\n    a:\n        labels: {x: y}   # c\n        driver: x\n        host:\n            phase: ready\n            address: 10.0.0.1\n    b:\n        driver: x\n',
    ],
    [
      'adds a host section with CRLF line endings',
      'machines:\r\n  a:\r\n    driver: x # c\r\n',
      'a',
      ready,
      'machines:\r\n  a:\r\n    driver: x # c\r\n    host:\r\n      phase: ready\r\n      address: 10.0.0.1\r\n',
    ],
    [
      'changes one value in a flow mapping',
      'machines:\n  a:\n    driver: \'x\'\n    labels: { role: "web",env:  prod } # c\n',
      'a',
      label({ env: 'test' }),
      'machines:\n  a:\n    driver: \'x\'\n    labels: { role: "web",env:  test } # c\n',
    ],
    [
      'adds a key to a flow mapping on several lines',
      'machines:\n  a:\n    driver: x\n    labels: {\n      role: web, # r\n      env: prod # e\n    }\n',
      'a',
      label({ rack: '12' }),
      'machines:\n  a:\n    driver: x\n    labels: {\n      role: web, # r\n      env: prod, rack: "12" # e\n    }\n',
    ],
    [
      'removes keys from a flow mapping',
      'machines:\n  a: { driver: x, labels: { a: b, c: d }, protected: true }\n',
      'a',
      ({ driver }) => ({ driver, labels: { c: 'd' } }),
      'machines:\n  a: { driver: x, labels: { c: d } }\n',
    ],
    [
      'adds and changes keys in a block mapping, in the order of the schema',
      'machines:\n  a:\n    driver: x # d\n    # about options\n    options:\n      k: 1 # one\n      l: 2\n',
      'a',
      (entry) => ({ driver: 'x', labels: { b: 'c' }, options: { ...entry.options, l: [3] } }),
      'machines:\n  a:\n    driver: x # d\n    labels: { b: c }\n    # about options\n    options:\n      k: 1 # one\n      l: [3]\n',
    ],
    [
      'removes a block mapping and its comments',
      'machines:\n  a:\n    driver: x\n    # about labels\n    labels:\n      a: b # c\n      # inside\n    # about via\n    via: b\n',
      'a',
      ({ labels: _, ...entry }) => entry,
      'machines:\n  a:\n    driver: x\n    # about via\n    via: b\n',
    ],
    [
      'replaces a block list without indentation',
      'machines:\n  a:\n    driver: x\n    host:\n      phase: ready\n      hostKeys:\n      - a b # c\n      - c d\n      port: 2\n',
      'a',
      (entry) => ({ ...entry, host: { phase: 'ready', hostKeys: ['e f'], port: 2 } }),
      'machines:\n  a:\n    driver: x\n    host:\n      phase: ready\n      hostKeys:\n      - e f\n      port: 2\n',
    ],
    [
      'replaces a folded string',
      'machines:\n  a:\n    driver: x\n    options:\n      note: >-\n        one\n        two\n\n      k: v\n',
      'a',
      (entry) => ({ ...entry, options: { note: 'three', k: 'v' } }),
      'machines:\n  a:\n    driver: x\n    options:\n      note: three\n\n      k: v\n',
    ],
    [
      'removes a machine with its comments and one blank line',
      'machines:\n  a:\n    driver: x\n\n  # of b\n  b: # b\n    driver: x\n    # in b\n\n  # of c\n  c:\n    driver: x\n',
      'b',
      remove,
      'machines:\n  a:\n    driver: x\n\n  # of c\n  c:\n    driver: x\n',
    ],
    [
      'removes the last of several machines from a file without a final newline',
      'machines:\n  a:\n    driver: x\n\n  b:\n    driver: x',
      'b',
      remove,
      'machines:\n  a:\n    driver: x',
    ],
    [
      'removes the only machine',
      'machines: # ours: all\n  a:\n    driver: x\n# end\n',
      'a',
      remove,
      'machines: {} # ours: all\n# end\n',
    ],
    [
      'labels a machine whose name is quoted, next to one whose name is a number',
      'machines:\n  "0": {driver: x}\n  \'b\':\n    driver: x\n',
      'b',
      label({ a: 'true' }),
      'machines:\n  "0": {driver: x}\n  \'b\':\n    driver: x\n    labels: { a: "true" }\n',
    ],
    [
      'adds a machine to a flow mapping',
      'machines: { a: {driver: x}, b: {driver: x} } # c\n',
      'c',
      keep,
      'machines: { a: {driver: x}, b: {driver: x}, c: { driver: new } } # c\n',
    ],
    [
      'adds a host section after a merge key',
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
    [
      'to change an entry that is an alias',
      'machines:\n  a: &a\n    driver: x\n  b: *a\n',
      'b',
      ready,
    ],
    [
      'to change an entry that an alias refers to',
      'machines:\n  a: &a\n    driver: x\n  b: *a\n',
      'a',
      ready,
    ],
    [
      'to remove an entry that an alias refers to',
      'machines:\n  a: &a\n    driver: x\n  b: *a\n',
      'a',
      remove,
    ],
    [
      'to remove a key that comes from a merge key',
      'defaults: { x: &x { driver: x, protected: true } }\nmachines:\n  a:\n    <<: *x\n',
      'a',
      ({ driver }) => ({ driver }),
    ],
    [
      'to add a machine if the machines are an alias',
      'defaults: &d { a: { driver: x } }\nmachines: *d\n',
      'b',
      keep,
    ],
  ] as [string, string, string, Change][])('refuses %s', (_, text, name, change) => {
    expect(() => editText(head + text, name, change)).toThrow(
      expect.objectContaining({ name: 'UserError', kind: 'inventory', machine: name }),
    )
  })
})
