import { spawn } from 'node:child_process'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { labIsHere } from '../support/lab/lab.ts'
import { finish } from '../support/lab/process.ts'
import { type Person, makePerson, program } from '../support/person.ts'

const inventory = `\
version: 1
id: 0123abcd
machines:
  web-1: { driver: ssh, options: { address: 192.0.2.1 } }
  web-2: { driver: ssh, options: { address: 192.0.2.2 } }
  laptop: { driver: local }
`

describe.skipIf(!labIsHere)('completion', () => {
  let ana: Person
  let env: Record<string, string>

  beforeAll(async () => {
    ana = await makePerson()
    await writeFile(join(ana.folder, 'machines.yaml'), inventory)
    const bin = join(ana.home, 'bin')
    await mkdir(bin)
    await writeFile(join(bin, 'fleet'), `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`)
    await chmod(join(bin, 'fleet'), 0o755)
    env = { ...ana.env, PATH: `${bin}:${ana.env['PATH']}` }
  })

  afterAll(() => ana[Symbol.asyncDispose]())

  async function run(shell: string, script: string): Promise<string[]> {
    const child = spawn(shell, ['-c', script], { env, cwd: ana.folder })
    child.stdin.end()
    const { code, stdout, stderr } = await finish(child)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    return stdout.split('\n').filter((line) => line !== '')
  }

  /** What bash offers for the last of `words`. */
  const inBash = (...words: string[]) =>
    run(
      'bash',
      `source <(fleet completion bash)
COMP_WORDS=(fleet ${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}
_fleet 2>&1; printf '%s\\n' "\${COMPREPLY[@]}"`,
    )

  test.each<[string[], string[]]>([
    [['us'], ['use']],
    [
      ['container', 'sta'],
      ['stats', 'start'],
    ],
    [
      ['use', 'web'],
      ['web-1', 'web-2'],
    ],
    [
      ['ps', '-m', ''],
      ['web-1', 'web-2', 'laptop'],
    ],
    [['ps', '--on', 'lap'], ['laptop']],
    [['-m', 'web-1', 'pul'], ['pull']],
    [['--machine=web-1', 'pul'], ['pull']],
    [
      ['-m', 'we'],
      ['web-1', 'web-2'],
    ],
    [['ps', '--no-'], ['--no-trunc']],
    [
      ['create', '--driver', ''],
      ['local', 'ssh'],
    ],
    [['create', '--driver', 'ssh', '--addr'], ['--address']],
    [['create', '--driver=ssh', '--addr'], ['--address']],
    [['completion', 'f'], ['fish']],
    [['use', 'nothing-like-it'], []],
    [['no-such-verb', ''], []],
    [['ssh', 'web-1', '--', 'ca'], []],
  ])('bash: fleet %j becomes %j', async (words, expected) => {
    expect(await inBash(...words)).toEqual(expected)
  })

  test('no hidden verb is offered, and every verb is', async () => {
    const verbs = await inBash('')
    expect(verbs).toEqual(expect.arrayContaining(['init', 'ps', 'container', 'completion']))
    expect(verbs.filter((verb) => verb.startsWith('_'))).toEqual([])
  })

  test('file names are left to the shell', async () => {
    expect(await inBash('adopt', '-i', 'machines.y')).toEqual(['machines.yaml'])
  })

  test('a broken inventory, or none, completes nothing and says nothing', async () => {
    await using bob = await makePerson()
    await writeFile(join(bob.folder, 'machines.yaml'), 'machines: [')
    const broken = await bob.fleet(['__complete', 'use', ''])
    expect(broken).toEqual({ code: 0, stdout: '', stderr: '' })
    const none = await bob.fleet(['__complete', 'use', ''], { cwd: bob.home })
    expect(none).toEqual({ code: 0, stdout: '', stderr: '' })
  })

  test('fish', async () => {
    const script = "fleet completion fish | source; complete -C 'fleet use web'"
    expect(await run('fish', script)).toEqual(['web-1\tssh', 'web-2\tssh'])
  })

  test('zsh', async () => {
    const ready = '[?2004h' // zsh's line editor waits for input
    const setUp = `autoload -U compinit; compinit -u -D; source <(fleet completion zsh); echo set'-'up\r`
    const { screen } = await ana.onTerminal(
      ['zsh', '-f', '-i'],
      [
        { at: ready, type: setUp },
        { at: 'set-up', type: 'fleet use lap\t' },
        { at: 'fleet use laptop', type: '\u0015exit\r' },
      ],
      { env },
    )
    expect(screen).toContain('fleet use laptop')
  })
})
