import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { access, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type TestUser, makeTestUser, program } from '../../support/test-user.ts'

// Behavior of the program without a host.

let ana: TestUser
beforeEach(async () => {
  ana = await makeTestUser()
})
afterEach(() => ana[Symbol.asyncDispose]())

const inFolder = (name: string): string => join(ana.folder, name)

const inventory = `version: 1
id: 0123abcd
machines:
  half: { driver: from-tomorrow, labels: { role: web }, host: { phase: creating, token: 6d1c0a94-5a0e-4c5c-9d0c-6b8f7f2f3b11 } }
  here: { driver: local, host: { phase: ready } }
  there: { driver: ssh, options: { address: there.invalid }, host: { phase: ready, address: there.invalid } }
`

test('every command explains how to start if there is no inventory', async () => {
  await rm(inFolder('machines.yaml'))
  for (const args of [['ls'], ['use', 'a'], ['adopt', 'a.invalid'], ['rm', '-y', 'a'], ['check']]) {
    const { code, stderr } = await ana.fleet(args)
    expect({ args, code, stderr }).toMatchObject({ args, code: 4 })
    expect(stderr).toContain(
      `there is no inventory: no machines.yaml in ${ana.folder} or any parent directory`,
    )
    expect(stderr).toContain('create an inventory in this directory with fleet init')
    expect(stderr).toMatch(/clone its git repository .*--inventory FILE/)
  }
  const named = await ana.fleet(['ls', '--inventory', 'mine.yaml'])
  expect(named.stderr).toMatch(
    /there is no inventory \S*mine.yaml\n.*fleet init --inventory \S*mine.yaml/,
  )
})

test('commands in a removed directory fail with a clear error', async () => {
  const gone = inFolder('gone')
  const inGone = (...args: string[]) => {
    const command = 'mkdir "$1" && cd "$1" && rmdir "$1" && shift && exec "$@"'
    return spawnSync('sh', ['-c', command, 'sh', gone, process.execPath, program, ...args], {
      ...{ cwd: ana.folder, env: ana.env, encoding: 'utf8' },
    })
  }
  const text = 'fleet: the working directory no longer exists\n  change to an existing directory\n'
  for (const args of [['ls'], ['ps'], ['init', 'sub'], ['--help']]) {
    expect(inGone(...args)).toMatchObject({ status: 1, stdout: '', stderr: text })
  }
  expect(JSON.parse(inGone('ls', '--json').stderr)).toMatchObject({ error: { kind: 'failed' } })
  expect(inGone('-m', 'web-1', 'exec', 'app', 'true')).toMatchObject({ status: 125 })
  expect(inGone('--inventory', 'm.yaml', 'exec', 'app', 'a')).toMatchObject({ status: 125 })
  expect(inGone('ssh', 'web-1', 'ls', '--json')).toMatchObject({ status: 255, stderr: text })
  expect(inGone('--version')).toMatchObject({ status: 0, stderr: '' })
})

const toFullDisk = (...args: string[]) =>
  spawnSync('sh', ['-c', '"$@" > /dev/full', 'sh', process.execPath, program, ...args], {
    ...{ cwd: ana.folder, env: ana.env, encoding: 'utf8' },
  })

test.runIf(process.platform === 'linux')('output that cannot be written is an error', async () => {
  await writeFile(inFolder('machines.yaml'), inventory)
  for (const args of [['ls'], ['ls', '--json'], ['ps', '--help'], ['--help'], ['--version']]) {
    expect(toFullDisk(...args)).toMatchObject({
      status: 1,
      stderr: 'fleet: cannot write to standard output: no space left on device\n',
    })
  }
  expect(toFullDisk('use', 'nowhere')).toMatchObject({ status: 3 })
  expect(toFullDisk('ssh', '--help')).toMatchObject({ status: 255 })
  expect(toFullDisk('--inventory', 'machines.yaml', 'logs', '--help')).toMatchObject({ status: 1 })
})

test.runIf(process.platform === 'linux')('output that is truncated is an error', () => {
  // At the size limit, as on a full disk, a write first succeeds in part.
  const script = 'trap "" XFSZ; ulimit -f 1; exec "$@" > help.txt'
  const words = ['-c', script, 'sh', process.execPath, program, '--help']
  const options = { cwd: ana.folder, env: ana.env, encoding: 'utf8' } as const
  expect(spawnSync('sh', words, options)).toMatchObject({
    status: 1,
    stderr: 'fleet: cannot write to standard output: file too large\n',
  })
})

test.each([['ls'], ['--help'], ['--version']])(
  'fleet %s exits without an error when nobody reads its output',
  async (...args) => {
    await writeFile(inFolder('machines.yaml'), inventory)
    const child = spawn(process.execPath, [program, ...args], { cwd: ana.folder, env: ana.env })
    child.stdout.destroy()
    const [errors, [code]] = await Promise.all([text(child.stderr), once(child, 'close')])
    expect({ code, errors }).toEqual({ code: 0, errors: '' })
  },
)

test('init writes the inventory only where it is requested', async () => {
  await rm(inFolder('machines.yaml'))
  const env = { FLEET_INVENTORY: 'by-environment.yaml' }
  expect(await ana.fleet(['init', '--inventory', 'ops/by-option.yaml'])).toMatchObject({ code: 0 })
  expect(await ana.fleet(['init'], { env })).toMatchObject({ code: 0 })
  expect(await ana.fleet(['init', 'folder'])).toMatchObject({ code: 0 })
  for (const file of ['ops/by-option.yaml', 'by-environment.yaml', 'folder/machines.yaml']) {
    expect(await readFile(inFolder(file), 'utf8')).toContain('version: 1')
  }
  await expect(access(inFolder('machines.yaml'))).rejects.toThrow('ENOENT')
  expect(await ana.fleet(['init', 'other'], { env })).toMatchObject({ code: 2 })
  await expect(access(inFolder('other'))).rejects.toThrow('ENOENT')
})

test('init in the directory of another inventory asks first', async () => {
  await writeFile(inFolder('machines.yaml'), inventory)
  const refused = await ana.fleet(['init', 'deep/er'])
  expect(refused).toMatchObject({
    code: 2,
    stderr: expect.stringContaining(
      `is inside the directory of another inventory: ${inFolder('machines.yaml')}`,
    ),
  })
  expect(refused.stderr).toContain('--yes')
  await expect(access(inFolder('deep'))).rejects.toThrow('ENOENT')
  const no = await ana.fleetOnTerminal(['init', 'deep'], [{ at: 'another inventory', type: '\r' }])
  expect(no.code).toBe(130)
  await expect(access(inFolder('deep'))).rejects.toThrow('ENOENT')
  expect(await ana.fleet(['init'])).toMatchObject({
    code: 4,
    stderr: expect.stringContaining('machines.yaml already exists'),
  })
  expect(await ana.fleet(['init', 'deep', '--yes'])).toMatchObject({ code: 0 })
  expect(await ana.fleet(['init', '--inventory', 'told/x.yaml'])).toMatchObject({ code: 0 })
})

test.skipIf(process.platform !== 'linux')(
  'SIGTERM terminates a command that computes, regardless of its inventory',
  async () => {
    // The YAML parser takes seconds for this inventory; the signal arrives during that time.
    const keys = Array.from({ length: 220_000 }, (_, n) => `k${n}: &a${n} 1\n`).join('')
    await writeFile(inFolder('machines.yaml'), `version: 1\nid: 0123abcd\n${keys}`)
    const child = spawn(process.execPath, [program, 'ls'], { cwd: ana.folder, env: ana.env })
    const ended = once(child, 'exit')
    await vi.waitFor(async () => {
      const [, ticks = ''] =
        /^(?:\S+ ){13}(\d+)/.exec(
          (await readFile(`/proc/${child.pid}/stat`, 'utf8')).replace(/\(.*\)/, 'fleet'),
        ) ?? []
      expect(Number(ticks)).toBeGreaterThan(50) // in hundredths of a second
    }, 600_000)
    child.kill('SIGTERM')
    expect(await ended).toEqual([null, 'SIGTERM'])
  },
)

test('ls marks the machine that commands use by default', async () => {
  await writeFile(inFolder('machines.yaml'), inventory)
  await ana.fleet(['use', 'here'])
  const marked = async (env = {}): Promise<string[]> => {
    const { stdout } = await ana.fleet(['ls', '--json'], { env })
    const rows = JSON.parse(stdout) as { name: string; active: boolean }[]
    return rows.filter(({ active }) => active).map(({ name }) => name)
  }
  expect(await marked()).toEqual(['here'])
  expect(await marked({ FLEET_MACHINE: 'there' })).toEqual(['there'])
})

test('use and active report that $FLEET_MACHINE overrides the active machine', async () => {
  await writeFile(inFolder('machines.yaml'), inventory)
  const env = { FLEET_MACHINE: 'there' }
  expect(await ana.fleet(['use', 'here'], { env })).toMatchObject({
    code: 0,
    stderr: expect.stringMatching(
      /here is now the active machine, but \$FLEET_MACHINE overrides it.* use there /,
    ),
  })
  expect(await ana.fleet(['active'], { env })).toMatchObject({
    stdout: 'there\n',
    stderr: expect.stringMatching(
      /\$FLEET_MACHINE is there and overrides the active machine, here/,
    ),
  })
  expect(JSON.parse((await ana.fleet(['active', '--json'], { env })).stdout)).toEqual({
    name: 'there',
    overrides: 'here',
  })
  const same = { env: { FLEET_MACHINE: 'here' } }
  expect((await ana.fleet(['use', 'here'], same)).stderr).toBe('here is now the active machine\n')
  expect(await ana.fleet(['active'], same)).toMatchObject({ stdout: 'here\n', stderr: '' })
})

test('a partly created machine has no address, and is not mistaken for this computer', async () => {
  await writeFile(inFolder('machines.yaml'), inventory)
  expect((await ana.fleet(['ls', '--on', 'half'])).stdout).toBe(
    'half\t\tfrom-tomorrow\t\trole=web\tcreating\n',
  )
  expect(await ana.fleet(['ip', 'half'])).toMatchObject({ code: 5, stdout: '' })
  expect((await ana.fleet(['ip', 'here', 'there'])).stdout).toBe('127.0.0.1\nthere.invalid\n')
})

test('label without changes prints labels, without touching the file', async () => {
  await writeFile(inFolder('machines.yaml'), inventory)
  expect((await ana.fleet(['label', 'half'])).stdout).toBe('role=web\n')
  expect(await ana.inventory()).toBe(inventory)
})

test.each([
  [['ls', '--timeout', '3'], '--live'],
  [['ip', '--parallel', '3'], '--parallel'],
  [['adopt', 'there.invalid', '-i', '/nowhere/id'], '/nowhere/id'],
])('%j would be without effect, and is refused', async (args, named) => {
  await writeFile(inFolder('machines.yaml'), inventory)
  const { code, stderr } = await ana.fleet(args)
  expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining(named) })
  expect(await ana.inventory()).toBe(inventory)
})

test.each([
  [['rmi', 'nginx'], 'fleet image rm'],
  [['plugin', 'ls'], 'fleet docker plugin'],
  [['image', 'rmi', 'nginx'], 'fleet image rm'],
  [['sttus'], 'did you mean status'],
])('%j is refused with the name of the right command', async (args, named) => {
  const { code, stderr } = await ana.fleet(args)
  expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining(named) })
})

test('top with the arguments of docker top suggests fleet container top', async () => {
  const { code, stderr } = await ana.fleet(['top', 'web'])
  expect({ code, stderr }).toMatchObject({
    code: 3,
    stderr: expect.stringContaining('fleet container top web'),
  })
})

test.each([
  [['--all', 'image', 'save', 'nginx'], 'writes a file'],
  [['--on', 'all', 'container', 'export', '-o', 'c.tar', 'c'], 'writes a file'],
  [['--all', 'image', 'load'], 'standard input'],
  [['--all', 'exec', '-i', 'c', 'sh'], 'standard input'],
  [['--all', 'run', '--rm', '-it', 'bb:1', 'sh'], 'standard input'],
  [['--all', 'container', 'attach', 'c'], 'standard input'],
  [['--all', 'container', 'cp', 'c:/etc/hosts', '.'], 'writes a file'],
  [['--all', 'docker', 'login'], 'standard input'],
  [['pull', '--all', 'nginx'], 'fleet --all pull'],
  [['pull', 'nginx', '--all'], 'fleet --all pull'],
  [['exec', '-m', 'here', 'c', 'sh'], 'fleet -m NAME exec'],
])('%j is refused with a hint', async (args, named) => {
  await writeFile(inFolder('machines.yaml'), inventory)
  const { code, stdout, stderr } = await ana.fleet(args)
  expect({ code, stdout }).toEqual({ code: 125, stdout: '' })
  expect(stderr).toContain(named)
})

test('ssh runs everything after -- as the command, on the active machine by default', async () => {
  await writeFile(inFolder('machines.yaml'), inventory)
  await ana.fleet(['use', 'here'])
  for (const args of [
    ['ssh', '--', 'echo', 'there', '--json'],
    ['ssh', 'here', '--', 'echo', 'there', '--json'],
    ['-m', 'here', 'ssh', '--', 'echo', 'there', '--json'],
  ]) {
    expect(await ana.fleet(args)).toMatchObject({ code: 0, stdout: 'there --json\n' })
  }
})

test.each([
  [['-m', 'there', 'ssh', 'here', '--', 'hostname'], 'here'],
  [['ssh', '--on', 'here', 'there', '--', 'hostname'], 'there'],
])('%j would run something unintended, and is refused', async (args, stray) => {
  await writeFile(inFolder('machines.yaml'), inventory)
  const { code, stderr } = await ana.fleet(args)
  expect({ code, stderr }).toMatchObject({
    code: 255,
    stderr: expect.stringContaining(`unexpected "${stray}" before --`),
  })
})

test.each([
  [['ssh', 'here', 'echo', '-n', 'a', '--json', '-m', 'there'], 'a --json -m there'],
  [['ssh', 'here', 'printf', '[%s]', '--', '-q'], '[--][-q]'],
  [['ssh', 'here', '--', 'printf', '[%s]', '--', '-h'], '[--][-h]'],
  [['ssh', '-m', 'here', 'printf', '[%s]', '--help', '--on=x'], '[--help][--on=x]'],
  [['-m', 'here', 'ssh', 'printf', '[%s]', 'there', '-V'], '[there][-V]'],
])('%j passes options to the remote command', async (args, stdout) => {
  await writeFile(inFolder('machines.yaml'), inventory)
  expect(await ana.fleet(args)).toMatchObject({ code: 0, stdout, stderr: '' })
})

test('ssh refuses a fleet option after the machine name', async () => {
  await writeFile(inFolder('machines.yaml'), inventory)
  const { code, stderr } = await ana.fleet(['ssh', 'here', '--fold', 'true'])
  expect({ code, stderr }).toMatchObject({
    code: 255,
    stderr: expect.stringContaining('put fleet options before the machine name'),
  })
  const help = await ana.fleet(['ssh', '--help'])
  expect(help).toMatchObject({ code: 0, stdout: expect.stringContaining('Usage: fleet ssh') })
})

test('create refuses a jump host that is no machine or has no host, before writing anything', async () => {
  await writeFile(inFolder('machines.yaml'), inventory)
  const words = ['create', 'new', '--driver', 'ssh', '--address', 'there.invalid', '--via']
  for (const [via, says] of [
    ['nope', 'nope, but there is no such machine'],
    ['half', 'half, which has not been created yet'],
  ] as const) {
    const { code, stderr } = await ana.fleet([...words, via])
    expect({ code, stderr }).toMatchObject({ stderr: expect.stringContaining(says) })
    expect(code).not.toBe(0)
    expect(await ana.inventory()).toBe(inventory)
  }
})

test('a missing active machine is reported, with where it was set', async () => {
  await writeFile(inFolder('machines.yaml'), inventory)
  await ana.fleet(['use', 'here'])
  await writeFile(inFolder('machines.yaml'), inventory.replace('here:', 'elsewhere:'))
  for (const args of [['active'], ['ip']]) {
    const { code, stderr } = await ana.fleet(args)
    expect({ code, stderr }).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('the active machine is here, which is not in the inventory'),
    })
  }
  const { code, stderr } = await ana.fleet(['ip'], { env: { FLEET_MACHINE: 'gone' } })
  expect({ code, stderr }).toMatchObject({
    code: 3,
    stderr: expect.stringContaining('FLEET_MACHINE is set to gone'),
  })
})

test('help requires no inventory, and refuses unknown commands', async () => {
  await rm(inFolder('machines.yaml'))
  const help = await ana.fleet(['run', '--help'])
  expect(help).toMatchObject({ code: 0, stdout: expect.stringContaining('docker run --help') })
  const { code, stderr } = await ana.fleet(['help', 'nope'])
  expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('nope') })
  expect((await ana.fleet(['ls', '--nope'])).stderr).toContain('fleet ls --help')
})

test('with --json, the result of any command is on stdout', async () => {
  await rm(inFolder('machines.yaml'))
  const file = inFolder('machines.yaml')
  const answer = async (...args: string[]): Promise<unknown> => {
    const { code, stdout, stderr } = await ana.fleet([...args, '--json'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    return JSON.parse(stdout)
  }
  expect(await answer('init')).toMatchObject({ files: expect.arrayContaining([file]) })
  await writeFile(file, inventory)
  expect(await answer('use', 'here')).toEqual({ name: 'here' })
  expect(await answer('ip', '--on', 'here,there')).toMatchObject([
    { name: 'here' },
    { name: 'there', address: 'there.invalid' },
  ])
  const statuses = await ana.fleet(['status', '--all', '--timeout', '1', '--json'])
  const rows = JSON.parse(statuses.stdout) as { machine: string }[]
  expect(rows.map(({ machine }) => machine)).toEqual(['half', 'here', 'there'])
})

test('ip with a selector names the machine of each address', async () => {
  await writeFile(inFolder('machines.yaml'), inventory)
  expect((await ana.fleet(['ip', '--on', 'here,there'])).stdout).toBe(
    'here\t127.0.0.1\nthere\tthere.invalid\n',
  )
})
