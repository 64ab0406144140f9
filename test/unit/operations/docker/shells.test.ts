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

/** Scripts that make a shell evaluate the change, and print the resulting values. */
const readers = {
  bash: 'eval "$CHANGE"; printf "%s|%s|%s" "$DOCKER_HOST" "$FLEET_MACHINE" "${DOCKER_CONTEXT-none}"',
  dash: 'eval "$CHANGE"; printf "%s|%s|%s" "$DOCKER_HOST" "$FLEET_MACHINE" "${DOCKER_CONTEXT-none}"',
  zsh: 'eval "$CHANGE"; printf "%s|%s|%s" "$DOCKER_HOST" "$FLEET_MACHINE" "${DOCKER_CONTEXT-none}"',
  fish: 'echo $CHANGE | source; set -q DOCKER_CONTEXT; or set DOCKER_CONTEXT none; printf "%s|%s|%s" $DOCKER_HOST $FLEET_MACHINE $DOCKER_CONTEXT',
} as const

describe.each(Object.entries(readers))('%s', (program, script) => {
  test.skipIf(!isHere(program))('evaluates the change that is written for it', () => {
    const CHANGE = writeChange(requireShell(program), change)
    const output = execFileSync(program, ['-c', script], { env: { ...environment, CHANGE } })
    expect(String(output)).toBe(`${hostile}|web-1|none`)
  })
})

test.each([
  ['fish', "set -gx A 'it\\'s \\\\';\nset -e B;\n"],
  ['powershell', "$Env:A = 'it''s \\'\nRemove-Item Env:\\B -ErrorAction SilentlyContinue\n"],
  ['cmd', '@SET "A=it\'s \\"\n@SET B=\n'],
  ['nushell', '{\n  "A": "it\'s \\\\"\n}\n'],
  ['elvish', "set-env A 'it''s \\'\nunset-env B\n"],
] as const)('quotes values for %s', (shell, text) => {
  expect(writeChange(shell, { set: { A: "it's \\" }, unset: ['B'] })).toBe(text)
})

test('doubles typographic quotes for PowerShell, which treats them as quotes', () => {
  const text = writeChange('powershell', { set: { A: '’; calc; ‘' }, unset: [] })
  expect(text).toBe("$Env:A = '’’; calc; ‘‘'\n")
})

test.each([
  ['bash', 'two\nlines'],
  ['fish', '\u001b[2J'],
  ['cmd', 'a"&calc&"'],
  ['cmd', '%PATH%'],
] as const)('refuses to write for %s the value %j, which it cannot represent', (shell, value) => {
  expect(() => writeChange(shell, { set: { DOCKER_HOST: value }, unset: [] })).toThrow(
    expect.objectContaining({
      kind: 'unsupported',
      message: expect.stringContaining('DOCKER_HOST'),
    }),
  )
})

test('writes names of variables to hide for nushell, which has no eval', () => {
  expect(JSON.parse(writeChange('nushell', { set: {}, unset: ['A', 'B'] }))).toEqual(['A', 'B'])
  expect(howToUse('nushell', 'fleet env --unset', true)).toContain('hide-env')
})

test('detects a shell by the name of its program', () => {
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
