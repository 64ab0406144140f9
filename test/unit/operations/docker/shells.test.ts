import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import {
  howToUse,
  requireShell,
  shellOf,
  shells,
  writeChange,
} from '../../../../src/operations/docker/shells.ts'

const hostile = `it's "a" ‘b’ $HOME \`id\` %PATH% \\ ; é`
const change = { set: { DOCKER_HOST: hostile, FLEET_MACHINE: 'web-1' }, unset: ['DOCKER_CONTEXT'] }
const environment = { PATH: process.env['PATH'], DOCKER_CONTEXT: 'old', HOME: '/', LANG: 'C.UTF-8' }

const isHere = (name: string): boolean =>
  (process.env['PATH'] ?? '').split(':').some((folder) => existsSync(`${folder}/${name}`))

/** Makes a shell read the change, and prints what it makes of it. */
const readers = {
  bash: 'eval "$CHANGE"; printf "%s|%s|%s" "$DOCKER_HOST" "$FLEET_MACHINE" "${DOCKER_CONTEXT-none}"',
  dash: 'eval "$CHANGE"; printf "%s|%s|%s" "$DOCKER_HOST" "$FLEET_MACHINE" "${DOCKER_CONTEXT-none}"',
  zsh: 'eval "$CHANGE"; printf "%s|%s|%s" "$DOCKER_HOST" "$FLEET_MACHINE" "${DOCKER_CONTEXT-none}"',
  fish: 'echo $CHANGE | source; set -q DOCKER_CONTEXT; or set DOCKER_CONTEXT none; printf "%s|%s|%s" $DOCKER_HOST $FLEET_MACHINE $DOCKER_CONTEXT',
} as const

describe.each(Object.entries(readers))('%s', (program, script) => {
  test.skipIf(!isHere(program))('reads what is written for it', () => {
    const CHANGE = writeChange(requireShell(program), change)
    const heard = execFileSync(program, ['-c', script], { env: { ...environment, CHANGE } })
    expect(String(heard)).toBe(`${hostile}|web-1|none`)
  })
})

test.each([
  ['fish', "set -gx A 'it\\'s \\\\';\nset -e B;\n"],
  ['powershell', "$Env:A = 'it''s \\'\nRemove-Item Env:\\B -ErrorAction SilentlyContinue\n"],
  ['cmd', '@SET "A=it\'s \\"\n@SET B=\n'],
  ['nushell', '{\n  "A": "it\'s \\\\"\n}\n'],
  ['elvish', "set-env A 'it''s \\'\nunset-env B\n"],
] as const)('is quoted for %s', (shell, text) => {
  expect(writeChange(shell, { set: { A: "it's \\" }, unset: ['B'] })).toBe(text)
})

test('powershell is given typographic quotes twice, which it takes for quotes', () => {
  const text = writeChange('powershell', { set: { A: '’; calc; ‘' }, unset: [] })
  expect(text).toBe("$Env:A = '’’; calc; ‘‘'\n")
})

test.each([
  ['bash', 'two\nlines'],
  ['fish', '\u001b[2J'],
  ['cmd', 'a"&calc&"'],
  ['cmd', '%PATH%'],
] as const)('%s is not given %j, which it cannot hold', (shell, value) => {
  expect(() => writeChange(shell, { set: { DOCKER_HOST: value }, unset: [] })).toThrow(
    expect.objectContaining({
      kind: 'unsupported',
      message: expect.stringContaining('DOCKER_HOST'),
    }),
  )
})

test('nushell, which has no eval, is given data to hide', () => {
  expect(JSON.parse(writeChange('nushell', { set: {}, unset: ['A', 'B'] }))).toEqual(['A', 'B'])
  expect(howToUse('nushell', 'fleet env --unset', true)).toContain('hide-env')
})

test('shells are known by their programs', () => {
  expect(shells).toEqual(['bash', 'zsh', 'fish', 'powershell', 'cmd', 'nushell', 'elvish'])
  const known = ['/bin/zsh', '-bash', 'pwsh', 'C:\\Windows\\cmd.exe', 'nu', '/bin/sh', 'node']
  expect(known.map(shellOf)).toEqual([
    ...['zsh', 'bash', 'powershell', 'cmd', 'nushell', 'bash', undefined],
  ])
  expect(() => requireShell('tcsh')).toThrow('unknown shell "tcsh"')
  expect(() => requireShell('fisch')).toThrow(
    expect.objectContaining({ hint: expect.stringMatching(/^did you mean fish\? .*nushell/) }),
  )
})
