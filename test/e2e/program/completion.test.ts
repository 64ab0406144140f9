import { spawn } from 'node:child_process'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { labIsHere } from '../../support/lab/lab.ts'
import { finish } from '../../support/lab/process.ts'
import { type TestUser, makeTestUser, program } from '../../support/test-user.ts'

const inventory = `\
version: 1
id: 0123abcd
operators: { ben: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsi1nrMzty0ZbyMs5FimkOND052LvfLAi/wvUsRM2et }
profiles: { base: { driver: aws } }
machines:
  web-1: { driver: ssh, options: { address: 192.0.2.1 }, labels: { role: web } }
  web-2: { driver: ssh, options: { address: 192.0.2.2 } }
  laptop: { driver: local, labels: { note: "a $(b) c" } }
`

/** The sequence that bash and zsh print when their line editor waits for input: it enables bracketed paste. */
const lineEditorReady = '[?2004h'

describe.skipIf(!labIsHere)('completion', () => {
  let ana: TestUser
  let env: Record<string, string>

  beforeAll(async () => {
    ana = await makeTestUser()
    await writeFile(join(ana.folder, 'machines.yaml'), inventory)
    await writeFile(
      join(ana.folder, 'other.yaml'),
      'version: 1\nid: 4567abcd\nmachines:\n  elsewhere: { driver: local }\n',
    )
    const bin = join(ana.home, 'bin')
    await mkdir(bin)
    await writeFile(join(bin, 'fleet'), `#!/bin/sh\nexec '${program}' "$@"\n`)
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

  /** Resolves to the completions that bash offers for the last of `words`. */
  const inBash = (...words: string[]) =>
    run(
      'bash',
      `source <(fleet completion bash)
COMP_LINE='fleet ${words.join(' ')}'; COMP_POINT=\${#COMP_LINE}
_fleet 2>&1; printf '%s\\n' "\${COMPREPLY[@]}"`,
    )

  /** Resolves to the completions that fish offers at the end of `line`. */
  const inFish = (line: string) =>
    run('fish', `fleet completion fish | source; complete -C '${line}'`)

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
    [['--on', 'lap'], ['laptop']],
    [['run', '--on', 'lap'], ['laptop']],
    [['run', '--mach'], ['--machine']],
    [['run', '-d', '--mo'], ['--mount']],
    [['image', 'save', '--outp'], ['--output']],
    [['--inventory', 'other.yaml', 'use', ''], ['elsewhere']],
    [['use', '--inventory=other.yaml', ''], ['elsewhere']],
    [['--inventory', 'oth'], ['other.yaml']],
    [['create', '--identity=oth'], ['other.yaml']],
    [['build', '-f', 'oth'], ['other.yaml']],
    [['create', '--driver=s'], ['ssh']],
    [['ps', '--machine=l'], ['laptop']],
    [['--mach'], ['--machine']],
    [['-m', 'web-1', 'pul'], ['pull']],
    [['--machine=web-1', 'pul'], ['pull']],
    [
      ['-m', 'we'],
      ['web-1', 'web-2'],
    ],
    [['ps', '--no-'], ['--no-trunc']],
    [['create', '--driver', 's'], ['ssh']],
    [['create', '--driver', 'ssh', '--addr'], ['--address']],
    [['create', '--driver=ssh', '--addr'], ['--address']],
    [['completion', 'f'], ['fish']],
    [['env', '--shell', 'n'], ['nushell']],
    [['ps', '--on', 'ro'], ['role=web']],
    [['ps', '--on', 'note='], [String.raw`a\ \$\(b\)\ c`]],
    [['ps', '--on', 'driver=l'], ['local']],
    [['--on', 'al'], ['all']],
    [['ps', '--on', '!lap'], [String.raw`\!laptop`]],
    [['ps', '--on', 'all,!lap'], [String.raw`all\,\!laptop`]],
    [['ps', '--on', 'role!=w'], ['web']],
    [
      ['ps', '--on', 'state=stopp'],
      ['stopped', 'stopping'],
    ],
    [['label', 'laptop', 'ro'], ['role=web']],
    [['label', '--on', 'lap'], ['laptop']],
    [['label', '--on', 'laptop', 'ro'], ['role=web']],
    [['--on', 'laptop', 'label', 'ro'], ['role=web']],
    [['rm', '--on', 'ro'], ['role=web']],
    [['rm', 'lap'], ['laptop']],
    [['rm', '--on', 'role=web', 'lap'], []],
    [['create', '--extends', ''], ['base']],
    [['create', '--via', 'lap'], ['laptop']],
    [['operator', 'rm', ''], ['ben']],
    [['help', 'us'], ['use']],
    [['help', 'use', ''], []],
    [['cp', 'other.yaml', 'lap'], ['laptop:']],
    [['cp', 'oth'], ['other.yaml']],
    [['mount', 'lap'], ['laptop:']],
    [['mount', 'laptop:/srv', 'oth'], ['other.yaml']],
    [['mount', '-u', 'oth'], ['other.yaml']],
    [
      ['cp', ''],
      ['web-1:', 'web-2:', 'laptop:', 'machines.yaml', 'other.yaml'],
    ],
    [['cp', 'web-1:'], []],
    [['use', 'nothing-like-it'], []],
    [['no-such-verb', ''], []],
    [['ssh', 'web-1', '--', 'ca'], []],
    [['ssh', 'web-1', 'ls', '--js'], []],
    [
      ['set', 'web-1', ''],
      [
        'protected=',
        'engine=',
        'via=',
        'userData=',
        'label.role=',
        'label.note=',
        'address=',
        'user=',
        'port=',
      ],
    ],
    [['set', 'web-1', 'protected=true', 'via=la'], ['laptop']],
    [['set', 'web-1', 'engine=d'], ['distribution']],
    [['set', 'laptop', 'label.role='], ['web']],
    [['set', '--profile', 'b'], ['base']],
    [['set', '--profile', 'base', 'co'], ['count=']],
    [
      ['set', '--profile', 'base', 'spot='],
      ['never', 'prefer', 'only'],
    ],
    [['set', '--profile', 'base', 'elasticIp=f'], ['false']],
    [['set', '--on', 'role=web', 'addr'], ['address=']],
    [
      ['set', '--on', 'all', 'protected='],
      ['true', 'false'],
    ],
  ])('bash: fleet %j becomes %j', async (words, expected) => {
    expect(await inBash(...words)).toEqual(expected)
  })

  test('offers every command except hidden ones', async () => {
    const verbs = await inBash('')
    expect(verbs).toEqual(expect.arrayContaining(['init', 'ps', 'container', 'completion']))
    expect(verbs.filter((verb) => verb.startsWith('_'))).toEqual([])
  })

  test('leaves file names to the shell', async () => {
    expect(await inBash('adopt', '-i', 'machines.y')).toEqual(['machines.yaml'])
  })

  test('prints nothing with a broken or missing inventory', async () => {
    await using bob = await makeTestUser()
    await writeFile(join(bob.folder, 'machines.yaml'), 'machines: [')
    const broken = await bob.fleet(['__complete', 'use', ''])
    expect(broken).toEqual({ code: 0, stdout: '', stderr: '' })
    const none = await bob.fleet(['__complete', 'use', ''], { cwd: bob.home })
    expect(none).toEqual({ code: 0, stdout: '', stderr: '' })
  })

  test('works in bash with Tab', async () => {
    const { screen } = await ana.onTerminal(
      ['bash', '--norc', '--noprofile', '-i'],
      [
        { at: lineEditorReady, type: "source <(fleet completion bash); echo set'-'up\r" },
        { at: 'set-up', type: 'fleet create --driver=s\t' },
        { at: '--driver=ssh ', type: '--addr\t' },
        { at: '--address ', type: '\u0015fleet ssh -m lap\t' },
        { at: '-m laptop ', type: '\u0015fleet cp oth\tlap\tsrv' },
        { at: 'other.yaml laptop:srv', type: '\u0015fleet set laptop prot\tt\tvi\tlap\t' },
        { at: 'set laptop protected=true via=laptop ', type: '\u0015fleet init --inventory=oth\t' },
        { at: '--inventory=other.yaml ', type: '\u0015exit\r' },
      ],
      { env },
    )
    expect(screen).toContain('--inventory=other.yaml ')
    expect(screen).not.toMatch(/fleet: |bash: /)
  })

  test.each<[string, readonly string[], string]>([
    ['bash', ['bash', '--norc', '--noprofile', '-i'], 'source <(fleet completion bash)'],
    [
      'zsh',
      ['zsh', '-f', '-i'],
      'autoload -U compinit; compinit -u -D; source <(fleet completion zsh)',
    ],
    ['fish', ['fish', '--no-config', '-i'], 'fleet completion fish | source'],
  ])(
    'in %s, with Tab, inserts any value as a single word, with all special characters quoted',
    async (_shell, argv, setUp) => {
      await using eve = await makeTestUser()
      const value = `it's $(touch pwned) \`touch pwned\` "x" a\\b ; touch pwned & | # ~ !x $HOME`
      const entry = `  caught: { driver: local, labels: { trap: ${JSON.stringify(value)} } }`
      await writeFile(
        join(eve.folder, 'machines.yaml'),
        `version: 1\nid: 0123abcd\nmachines:\n${entry}\n`,
      )
      const { screen } = await eve.onTerminal(
        argv,
        [
          { at: '', type: `cd ${eve.folder}; ${setUp}; echo set'-'up\r` },
          { at: 'set-up', type: 'fleet ls -q --on trap=\t' },
          { at: 'pwned', type: '\r' },
          { at: 'caught', type: '\u0015exit\r' },
        ],
        { env: { ...eve.env, PATH: env['PATH'] ?? '' } },
      )
      expect(screen).toContain('caught')
      await expect(readFile(join(eve.folder, 'pwned'))).rejects.toMatchObject({ code: 'ENOENT' })
    },
  )

  test('works in fish', async () => {
    expect(await inFish('fleet use web')).toEqual(['web-1\tssh', 'web-2\tssh'])
    expect(await inFish('fleet use ')).toEqual(['laptop\tlocal', 'web-1\tssh', 'web-2\tssh'])
    expect(await inFish('fleet container unp')).toEqual(['unpause\tResume paused containers'])
    expect(await inFish('fleet create --driver=l')).toEqual([
      '--driver=local\tthe Docker engine on this computer',
    ])
    expect(await inFish('fleet build oth')).toEqual(['other.yaml'])
    expect(await inFish('fleet create --identity=oth')).toEqual(['--identity=other.yaml'])
    expect(await inFish('fleet cp lap')).toEqual(['laptop:\tlocal'])
    expect(await inFish('fleet no-such-verb ')).toEqual([])
  })

  test('works in zsh with Tab', async () => {
    const setUp = `autoload -U compinit; compinit -u -D; source <(fleet completion zsh); echo set'-'up\r`
    const { screen } = await ana.onTerminal(
      ['zsh', '-f', '-i'],
      [
        { at: lineEditorReady, type: setUp },
        { at: 'set-up', type: 'fleet use lap\t' },
        { at: 'fleet use laptop', type: '\u0015fleet create --driver=s\t' },
        { at: '--driver=ssh', type: ' --addr\t' },
        { at: '--address', type: '\u0015fleet build oth\t' },
        { at: 'fleet build other.yaml', type: '\u0015fleet cp oth\t' },
        { at: 'fleet cp other.yaml', type: 'lap\t' },
        { at: 'top:', type: '\u0015fleet adopt --identity=oth\t' },
        { at: '--identity=other.yaml', type: '\u0015exit\r' },
      ],
      { env },
    )
    expect(screen).toContain('--identity=other.yaml')
    expect(screen).not.toMatch(/fleet: |zsh: |_fleet:/)
  })
})
