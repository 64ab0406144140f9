import { describe, expect, it, test } from 'vitest'
import {
  readSshArguments,
  splitWords,
} from '../../../../src/operations/import/ansible/ssh-arguments.ts'

test.each([
  [
    `-o ProxyCommand="ssh -W %h:%p -q ops@gate"  -C`,
    ['-o', 'ProxyCommand=ssh -W %h:%p -q ops@gate', '-C'],
  ],
  [`a\\ b 'c "d"' "e \\" f" ''`, ['a b', 'c "d"', 'e " f', '']],
  ['', []],
])('splits arguments as a shell does: %s', (text, words) => {
  expect(splitWords(text)).toEqual(words)
})

describe('the SSH arguments of an Ansible host', () => {
  it.each([
    ['-o ProxyJump=ops@198.51.100.1', { jumps: ['ops@198.51.100.1'] }],
    ['-oProxyJump="ops@gate:2222,two" -C', { jumps: ['ops@gate:2222', 'two'] }],
    ['-qJ gate', { jumps: ['gate'] }],
    ['-o "proxyjump gate" -o ProxyJump=other', { jumps: ['gate'] }],
    [`-o ProxyCommand="ssh -W %h:%p -q ops@gate"`, { jumps: ['ops@gate'] }],
    [
      `-o 'ProxyCommand=/usr/bin/ssh -o StrictHostKeyChecking=no -p 2222 -l ops -W "%h:%p" gate'`,
      { jumps: ['ops@gate:2222'] },
    ],
    ['-o ControlMaster=auto -o ControlPersist=60s -C -4', {}],
    [
      '-o ProxyJump=none -o User=ana -p 22 -i ~/.ssh/k',
      { user: 'ana', port: '22', identityFile: '~/.ssh/k' },
    ],
    ['', {}],
  ])('are parsed from: %s', (text, expected) => {
    expect(readSshArguments(text)).toEqual(expected)
  })

  it.each([
    `-o ProxyCommand="nc -X 5 -x 127.0.0.1:1080 %h %p"`,
    `-o ProxyCommand="ssh -W %h:%p -F other gate"`,
    `-o ProxyCommand="ssh gate nc %h %p"`,
    '-F other.conf',
  ])('are reported as an unsupported: %s', (text) => {
    const { unsupported, jumps } = readSshArguments(text)
    expect(unsupported).toMatch(/^Ansible connects /)
    expect(jumps).toBeUndefined()
  })
})
