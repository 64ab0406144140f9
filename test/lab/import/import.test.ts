import { execFile } from 'node:child_process'
import { copyFile, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { dockerMachineConfigsAt, secret } from '../../support/docker/docker-machine-configs.ts'
import { type Lab, labIsHere, startLab } from '../../support/lab/lab.ts'
import { makeTestUser, program } from '../../support/test-user.ts'
import { findPromtool } from '../../support/promtool.ts'
import { hostOf } from '../../support/ssh/ssh-target.ts'

const run = promisify(execFile)
let lab: Lab

/** Returns terminal steps that wait for `question` about a host's key, and type the answer at the prompt. */
const answerAt = (question: string, type: string) => [
  { at: question, type: '' },
  { at: '[y/n/all/skip]', type },
]

describe.skipIf(!labIsHere)('importing hosts', () => {
  beforeAll(async () => {
    lab = await startLab({ hosts: 15 })
  })
  afterAll(() => lab?.[Symbol.asyncDispose]())

  test('from Docker Machine requires consent to host keys, copies login keys, and stores no secrets', async () => {
    await using user = await makeTestUser()
    const store = join(user.home, '.docker/machine')
    let taken = 0
    const configs = dockerMachineConfigsAt(() => hostOf(lab, (taken += 1)))
    const importing = ['import', 'docker-machine']
    for (const [index, [name, config]] of Object.entries(configs).entries()) {
      const folder = join(store, 'machines', name)
      await mkdir(folder, { recursive: true })
      await copyFile(lab.identity.file, join(folder, 'id_rsa'))
      await writeFile(join(folder, 'config.json'), JSON.stringify(config))
      if (index > 0) continue
      const refused = await user.fleet(importing)
      expect(refused.code).toBe(5)
      expect(refused.stderr).toContain('unknown host key for')
      expect(await user.inventory()).toContain('machines: {}')
    }
    expect(JSON.stringify(configs)).toContain(secret)

    const answer = await user.fleet([...importing, '--accept-new', '-l', 'from=dm'])
    expect(answer).toMatchObject({ code: 0 })
    expect(answer.stderr).toMatch(
      /imported with the ssh driver .*, because the aws driver did not find the host/,
    )
    const inventory = await user.inventory()
    expect(inventory.match(/from: dm/g)).toHaveLength(Object.keys(configs).length)
    expect(inventory).toContain(hostOf(lab).hostKey)
    const kept = [inventory, answer.stdout, answer.stderr]
    const home = user.env['FLEET_HOME'] ?? ''
    for (const entry of await readdir(home, { recursive: true, withFileTypes: true })) {
      if (entry.isFile()) kept.push(await readFile(join(entry.parentPath, entry.name), 'latin1'))
    }
    const encoded = Buffer.from(secret).toString('base64').slice(0, 8)
    for (const text of kept) expect(text).not.toMatch(new RegExp(`AKIAAAAA|${secret}|${encoded}`))
    expect(inventory).not.toContain('PRIVATE')
    await rm(store, { recursive: true })
    for (const name of ['cloud-v1', 'iron-v2', 'vmwarevsphere-v3']) {
      const ran = await user.fleet(['ssh', name, '--', 'echo', 'in'])
      expect(ran).toMatchObject({ code: 0, stdout: 'in\n' })
    }
  })

  test('from an SSH configuration uses their aliases, each once', async () => {
    await using user = await makeTestUser({ identity: lab.identity.file })
    const [one, two] = [hostOf(lab, 1), hostOf(lab, 2)]
    const config = [one, two]
      .map(({ address, user }, index) => `Host h${index}\n  HostName ${address}\n  User ${user}\n`)
      .join('')
    const file = join(user.home, 'hosts.conf')
    await writeFile(file, `${config}Host *\n  Compression yes\n`)
    const args = ['import', 'ssh-config', file, '--accept-new']
    expect(await user.fleet(args)).toMatchObject({ code: 0 })
    expect((await user.fleet(['ls', '-q'])).stdout).toBe('h0\nh1\n')
    const again = await user.fleet(args)
    expect(again).toMatchObject({
      code: 0,
      stderr:
        'h0: already in the inventory\nh1: already in the inventory\n0 imported, 2 already in the inventory\n',
    })
  })

  test('from an SSH configuration with commands runs none of these without --allow-exec', async () => {
    await using user = await makeTestUser({ identity: lab.identity.file })
    const { address, user: login } = hostOf(lab, 1)
    const ran = join(user.home, 'ran')
    const file = join(user.home, 'hosts.conf')
    await writeFile(
      file,
      `Host h0\n  HostName ${address}\n  User ${login}\nMatch exec "touch ${ran}"\n  Compression yes\n`,
    )
    const args = ['import', 'ssh-config', file, '--accept-new']
    expect(await user.fleet([...args, '--dry-run'])).toMatchObject({ code: 0, stdout: 'h0\n' })
    const refused = await user.fleet(args)
    expect(refused).toMatchObject({ code: 2, stdout: '' })
    expect(refused.stderr).toContain(`hosts.conf:4\n  review the commands first`)
    await expect(readFile(ran)).rejects.toThrow('ENOENT')
    expect(await user.fleet([...args, '--allow-exec'])).toMatchObject({ code: 0 })
    expect(await readFile(ran, 'utf8')).toBe('')
  })

  test('from Ansible evaluates templates, aliases and jump hosts', async () => {
    await using user = await makeTestUser({ identity: lab.identity.file })
    const [gate, app, plain] = [hostOf(lab, 1), hostOf(lab, 2), hostOf(lab, 3)]
    await writeFile(
      join(user.home, '.ssh/config'),
      `Host alias\n  HostName ${plain.address}\n  User ${plain.user}\n`,
    )
    const jump = `ansible_ssh_common_args='-o ProxyCommand="ssh -W %h:%p -q ${gate.user}@${gate.address}"'`
    const net = app.address.replace(/\.\d+$/, '')
    const hosts = join(user.home, 'hosts.ini')
    await writeFile(
      hosts,
      [
        `app ansible_host="{{ net }}.${app.address.slice(net.length + 1)}" ansible_user=${app.user} ${jump}`,
        'alias',
        'lost ansible_host="{{ nowhere }}"',
        `socks ansible_host=${app.address} ansible_ssh_common_args='-o ProxyCommand="nc -x proxy:1080 %h %p"'`,
        `[all:vars]\nnet=${net}\n`,
      ].join('\n'),
    )
    const env = { ANSIBLE_LOCAL_TEMP: join(user.home, 'tmp') }
    const args = ['import', 'ansible', hosts, '--accept-new']
    const done = await user.fleet(args, { env })
    expect(done.code).toBe(1)
    expect(done.stderr).toMatch(
      /^skipped: lost: the value of ansible_host is the template .*nowhere/m,
    )
    expect(done.stderr).toMatch(/^skipped: socks: Ansible connects through a ProxyCommand/m)
    expect(done.stderr).toContain(`app is reached through ${gate.address}, so`)
    expect(done.stderr).toMatch(/^2 imported, 2 skipped$/m)
    expect(await user.inventory()).toMatch(
      new RegExp(`  app:\n(?: {4}.*\n)*    via: ${gate.address}\n`),
    )
    for (const name of ['app', 'alias']) {
      const echo = await user.fleet(['ssh', name, '--', 'echo', 'in'])
      expect(echo).toMatchObject({ code: 0, stdout: 'in\n' })
    }

    const marker = join(user.home, 'looked-up')
    await writeFile(hosts, `x ansible_host="{{ lookup('pipe', 'touch ${marker}') }}"\n`)
    const lookup = await user.fleet(['import', 'ansible', hosts, '--dry-run'], { env })
    expect(lookup).toMatchObject({ code: 1, stdout: '' })
    await expect(readFile(marker)).rejects.toThrow('ENOENT')
  })

  test('prompts for each by name and number, until one answer applies to all', async () => {
    await using user = await makeTestUser({ identity: lab.identity.file })
    const hosts = join(user.home, 'hosts.ini')
    const lines = ['one', 'two', 'three', 'four'].map((name, index) => {
      const { address, user: login } = hostOf(lab, index + 1)
      return `${name} ansible_host=${address} ansible_user=${login}`
    })
    await writeFile(hosts, lines.join('\n'))
    const env = { ANSIBLE_LOCAL_TEMP: join(user.home, 'tmp') }
    const { screen, code } = await user.fleetOnTerminal(
      ['import', 'ansible', hosts],
      [
        ...answerAt('one (1 of 4)', 'perhaps\r'),
        { at: 'do not import this host', type: `${'\u007F'.repeat(7)}n\r` },
        ...answerAt('two (2 of 4)', 'y\r'),
        ...answerAt('three (3 of 4)', 'all\r'),
      ],
      { env },
    )
    expect(code).toBe(0)
    expect(screen).not.toContain('four (4 of 4)')
    expect(screen).toContain('not imported, as you requested: one')
    expect(screen).toContain('3 imported, 1 skipped')
    expect((await user.fleet(['ls', '-q'])).stdout).toBe('four\nthree\ntwo\n')
    const only = ['import', 'ansible', hosts, '--only', 'o*', '--accept-new', '--only', 'two']
    const rest = await user.fleet(only, { env })
    expect(rest).toMatchObject({ code: 0 })
    expect(rest.stderr).toContain('two: already in the inventory')
    const none = await user.fleet(['import', 'ansible', hosts, '--only', 'nope'], { env })
    expect(none).toMatchObject({ code: 2, stdout: '' })
  })

  test('works in both directions with Ansible, which connects to exported hosts as fleet does', async () => {
    await using user = await makeTestUser({ identity: lab.identity.file })
    const { address, user: login } = hostOf(lab)
    const adopt = ['adopt', `${login}@${address}`, '--name', 'web-1', '-i', lab.identity.file]
    expect(await user.fleet([...adopt, '--accept-new', '-l', 'role=web'])).toMatchObject({
      code: 0,
    })
    const hosts = join(user.home, 'hosts.ini')
    await writeFile(hosts, `[web]\n${address} ansible_user=${login}\n`)
    expect(await user.fleet(['import', 'ansible', hosts])).toMatchObject({
      code: 0,
      stderr: `${address}: already in the inventory as web-1\n0 imported, 1 already in the inventory\n`,
    })
    const bin = join(user.home, 'bin')
    await mkdir(bin)
    await writeFile(join(bin, 'fleet'), `#!/bin/sh\nexec ${program} "$@"\n`, {
      mode: 0o755,
    })
    const script = join(user.folder, 'inventory')
    const { stdout } = await user.fleet(['export', 'ansible'])
    await writeFile(script, stdout, { mode: 0o755 })
    const env = {
      ...user.env,
      PATH: `${bin}:${user.env['PATH']}`,
      ANSIBLE_LOCAL_TEMP: join(user.home, 'tmp'),
      ANSIBLE_SSH_CONTROL_PATH_DIR: join(user.home, 'cp'),
      ANSIBLE_SSH_ARGS: '-o ControlMaster=no',
    }
    const ask = (command: string, ...args: string[]) =>
      run(command, args, { env, cwd: '/' }).catch((error: { stdout: string; stderr: string }) => {
        throw new Error(error.stdout + error.stderr)
      })
    const listed = JSON.parse(
      (await ask('ansible-inventory', '-i', script, '--list')).stdout,
    ) as Record<string, unknown>
    expect(listed['role_web']).toEqual({ hosts: ['web-1'] })
    expect(listed['driver_ssh']).toEqual({ hosts: ['web-1'] })
    const one = await ask('ansible-inventory', '-i', script, '--host', 'web-1')
    expect(JSON.parse(one.stdout)).toMatchObject({ fleet_address: address, ansible_user: login })
    const raw = await ask('ansible', '-i', script, 'role_web', '-m', 'raw', '-a', 'echo reached')
    expect(raw.stdout).toContain('reached')

    const config = join(user.home, 'export.conf')
    await writeFile(config, (await user.fleet(['ssh-config'])).stdout)
    const settings = (await ask('ssh', '-F', config, '-G', 'web-1')).stdout
    expect(settings).toContain(`hostname ${address}\n`)
    expect(settings).toMatch(/^hostkeyalias fleet\.0123abcd\.web-1$/m)
    const reached = await ask('ssh', '-F', config, 'web-1', 'echo', 'by ssh')
    expect(reached.stdout).toBe('by ssh\n')

    const targets = join(user.home, 'targets.json')
    await writeFile(targets, (await user.fleet(['export', 'prometheus'])).stdout)
    const prometheus = join(user.home, 'prometheus.yml')
    await writeFile(
      prometheus,
      `scrape_configs:\n  - job_name: node\n    file_sd_configs:\n      - files: [${targets}]\n`,
    )
    const promtool = await findPromtool()
    expect((await ask(promtool, 'check', 'config', prometheus)).stdout).toContain('SUCCESS')
    await writeFile(targets, (await readFile(targets, 'utf8')).replace('"role"', '"a-role"'))
    await expect(ask(promtool, 'check', 'config', prometheus)).rejects.toThrow('a-role')

    const file = join(user.home, 'hosts.ini')
    await writeFile(
      file,
      `[web]\nother_1 ansible_host=${hostOf(lab, 2).address} ansible_user=${login}\n[front:children]\nweb\n[winds]\nw ansible_connection=winrm\n`,
    )
    const args = ['import', 'ansible', file, '--accept-new', '--json']
    const taken = await user.fleet(args, {
      env: { ANSIBLE_LOCAL_TEMP: join(user.home, 'tmp') },
    })
    expect(taken.code).toBe(1)
    expect(taken.stderr).toContain('skipped: w: Ansible connects to this host over winrm, not SSH')
    expect(JSON.parse(taken.stdout)).toMatchObject([
      { name: 'other-1', labels: { web: 'true', front: 'true' } },
    ])
  })
})
