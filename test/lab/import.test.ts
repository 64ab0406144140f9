import { execFile } from 'node:child_process'
import { copyFile, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { dockerMachineConfigsAt, secret } from '../support/docker-machine-configs.ts'
import { type Lab, labIsHere, startLab } from '../support/lab/lab.ts'
import { makePerson, program } from '../support/person.ts'
import { findPromtool } from '../support/promtool.ts'
import { hostOf } from '../support/ssh-target.ts'

const run = promisify(execFile)
let lab: Lab

describe.skipIf(!labIsHere)('hosts that other tools keep', () => {
  beforeAll(async () => {
    lab = await startLab({ hosts: 15 })
  })
  afterAll(() => lab?.[Symbol.asyncDispose]())

  test('of Docker Machine come with their keys, on consent to their host keys, and nothing secret', async () => {
    await using person = await makePerson()
    const store = join(person.home, '.docker/machine')
    let taken = 0
    const configs = dockerMachineConfigsAt(() => hostOf(lab, (taken += 1)))
    const importing = ['import', 'docker-machine']
    for (const [index, [name, config]] of Object.entries(configs).entries()) {
      const folder = join(store, 'machines', name)
      await mkdir(folder, { recursive: true })
      await copyFile(lab.identity.file, join(folder, 'id_rsa'))
      await writeFile(join(folder, 'config.json'), JSON.stringify(config))
      if (index > 0) continue
      const refused = await person.fleet(importing)
      expect(refused.code).toBe(5)
      expect(refused.stderr).toContain('nothing vouches for the key')
      expect(await person.inventory()).toContain('machines: {}')
    }
    expect(JSON.stringify(configs)).toContain(secret)

    const answer = await person.fleet([...importing, '--accept-new', '-l', 'from=dm'])
    expect(answer).toMatchObject({ code: 0 })
    expect(answer.stderr).toMatch(/it became one of driver ssh, .* for aws gave no answer/)
    const inventory = await person.inventory()
    expect(inventory.match(/from: dm/g)).toHaveLength(Object.keys(configs).length)
    expect(inventory).toContain(hostOf(lab).hostKey)
    const kept = [inventory, answer.stdout, answer.stderr]
    const home = person.env['FLEET_HOME'] ?? ''
    for (const entry of await readdir(home, { recursive: true, withFileTypes: true })) {
      if (entry.isFile()) kept.push(await readFile(join(entry.parentPath, entry.name), 'latin1'))
    }
    const encoded = Buffer.from(secret).toString('base64').slice(0, 8)
    for (const text of kept) expect(text).not.toMatch(new RegExp(`AKIAAAAA|${secret}|${encoded}`))
    expect(inventory).not.toContain('PRIVATE')
    await rm(store, { recursive: true })
    for (const name of ['cloud-v1', 'iron-v2', 'vmwarevsphere-v3']) {
      const ran = await person.fleet(['ssh', name, '--', 'echo', 'in'])
      expect(ran).toMatchObject({ code: 0, stdout: 'in\n' })
    }
  })

  test('of ssh come by their aliases, each once', async () => {
    await using person = await makePerson({ identity: lab.identity.file })
    const [one, two] = [hostOf(lab, 1), hostOf(lab, 2)]
    const config = [one, two]
      .map(({ address, user }, index) => `Host h${index}\n  HostName ${address}\n  User ${user}\n`)
      .join('')
    const file = join(person.home, 'hosts.conf')
    await writeFile(file, `${config}Host *\n  Compression yes\n`)
    const args = ['import', 'ssh-config', file, '--accept-new']
    expect(await person.fleet(args)).toMatchObject({ code: 0 })
    expect((await person.fleet(['ls', '-q'])).stdout).toBe('h0\nh1\n')
    const again = await person.fleet(args)
    expect(again).toMatchObject({ code: 0, stderr: 'h0: there already\nh1: there already\n' })
  })

  test('are handed over to Ansible, which reaches them the way fleet does, and come back from it', async () => {
    await using person = await makePerson({ identity: lab.identity.file })
    const { address, user } = hostOf(lab)
    const adopt = ['adopt', `${user}@${address}`, '--name', 'web-1', '-i', lab.identity.file]
    expect(await person.fleet([...adopt, '--accept-new', '-l', 'role=web'])).toMatchObject({
      code: 0,
    })
    const hosts = join(person.home, 'hosts.ini')
    await writeFile(hosts, `[web]\n${address} ansible_user=${user}\n`)
    expect(await person.fleet(['import', 'ansible', hosts])).toMatchObject({
      code: 0,
      stderr: `${address}: there already, as web-1\n`,
    })
    const bin = join(person.home, 'bin')
    await mkdir(bin)
    await writeFile(join(bin, 'fleet'), `#!/bin/sh\nexec ${program} "$@"\n`, {
      mode: 0o755,
    })
    const script = join(person.folder, 'inventory')
    const { stdout } = await person.fleet(['export', 'ansible'])
    await writeFile(script, stdout, { mode: 0o755 })
    const env = {
      ...person.env,
      PATH: `${bin}:${person.env['PATH']}`,
      ANSIBLE_LOCAL_TEMP: join(person.home, 'tmp'),
      ANSIBLE_SSH_CONTROL_PATH_DIR: join(person.home, 'cp'),
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
    expect(JSON.parse(one.stdout)).toMatchObject({ fleet_address: address, ansible_user: user })
    const raw = await ask('ansible', '-i', script, 'role_web', '-m', 'raw', '-a', 'echo reached')
    expect(raw.stdout).toContain('reached')

    const config = join(person.home, 'export.conf')
    await writeFile(config, (await person.fleet(['export', 'ssh-config'])).stdout)
    const told = (await ask('ssh', '-F', config, '-G', 'web-1')).stdout
    expect(told).toContain(`hostname ${address}\n`)
    expect(told).toMatch(/^hostkeyalias fleet\.0123abcd\.web-1$/m)
    const reached = await ask('ssh', '-F', config, 'web-1', 'echo', 'by ssh')
    expect(reached.stdout).toBe('by ssh\n')

    const targets = join(person.home, 'targets.json')
    await writeFile(targets, (await person.fleet(['export', 'prometheus'])).stdout)
    const prometheus = join(person.home, 'prometheus.yml')
    await writeFile(
      prometheus,
      `scrape_configs:\n  - job_name: node\n    file_sd_configs:\n      - files: [${targets}]\n`,
    )
    const promtool = await findPromtool()
    expect((await ask(promtool, 'check', 'config', prometheus)).stdout).toContain('SUCCESS')
    await writeFile(targets, (await readFile(targets, 'utf8')).replace('"role"', '"a-role"'))
    await expect(ask(promtool, 'check', 'config', prometheus)).rejects.toThrow('a-role')

    const file = join(person.home, 'hosts.ini')
    await writeFile(
      file,
      `[web]\nother_1 ansible_host=${hostOf(lab, 2).address} ansible_user=${user}\n[front:children]\nweb\n[winds]\nw ansible_connection=winrm\n`,
    )
    const args = ['import', 'ansible', file, '--accept-new', '--json']
    const taken = await person.fleet(args, {
      env: { ANSIBLE_LOCAL_TEMP: join(person.home, 'tmp') },
    })
    expect(taken.stderr).toContain('left out: w: it is reached by winrm, not by ssh')
    expect(JSON.parse(taken.stdout)).toMatchObject([
      { name: 'other-1', labels: { web: 'true', front: 'true' } },
    ])
  })
})
