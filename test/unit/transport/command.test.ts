import { execFileSync, spawnSync } from 'node:child_process'
import { array, assert, property, string } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { loginShellLine, shellLine, exitCodeOf } from '../../../src/transport/command.ts'
import { codePoint } from '../../support/code-point.ts'

const printWords = (words: readonly string[]) => shellLine(['printf', String.raw`%s\0`, ...words])

describe.skipIf(process.platform === 'win32')('a command line', () => {
  test.each(['sh', 'bash'])('reaches the program unchanged through %s', (shell) => {
    const word = string({ unit: codePoint }).map((text) => text.replaceAll('\0', ''))
    const commands = array(array(word, { minLength: 1, maxLength: 6 }), {
      minLength: 15,
      maxLength: 15,
    })
    assert(
      property(commands, (lists) => {
        const counted = lists.map((words) => [String(words.length), ...words])
        const script = counted.map(printWords).join('\n')
        const output = execFileSync(shell, ['-c', script], { encoding: 'utf8' })
        expect(output.split('\0').slice(0, -1)).toEqual(counted.flat())
      }),
      { numRuns: 10 }, // Each run checks many commands, because starting a shell takes longer than printing.
    )
  })

  const words = [
    'two\nlines',
    'wait!now',
    "it's",
    String.raw`\'`,
    String.raw`\\`,
    '$HOME `a`',
    '!',
    '',
  ]
  const loginShells = ['sh', 'bash', 'zsh', 'fish', 'tcsh'].filter(
    (shell) => spawnSync(shell, ['-c', 'exit 0']).status === 0,
  )

  test.each(loginShells)('reaches the program unchanged through the login shell %s', (shell) => {
    const line = loginShellLine(['printf', String.raw`%s\0`, ...words, 'a\\'])
    const output = execFileSync(shell, ['-c', line], { encoding: 'utf8' })
    expect(output.split('\0').slice(0, -1)).toEqual([...words, 'a\\'])
  })

  test('is not quoted where that is not necessary', () => {
    expect(shellLine(['docker', 'run', '--name=a', 'bb:1', 'it is'])).toBe(
      "docker run --name=a bb:1 'it is'",
    )
    expect(shellLine({ shell: 'a | b' })).toBe('a | b')
  })
})

test('exitCodeOf returns the exit code that a shell would report', () => {
  expect(exitCodeOf({ code: 3 })).toBe(3)
  expect(exitCodeOf({ signal: 'KILL' })).toBe(137)
  expect(exitCodeOf({ signal: 'TERM' })).toBe(143)
})
