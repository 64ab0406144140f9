import { createServer } from 'node:http'
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type TestUser, makeTestUser } from '../../support/test-user.ts'

let ana: TestUser
beforeEach(async () => {
  ana = await makeTestUser()
  await mkdir(join(ana.home, 'code'))
  await mkdir(join(ana.folder, 'cloud'))
  await writeFile(join(ana.folder, 'cloud/dev.yaml'), '#cloud-config\n')
  await writeFile(join(ana.folder, 'own.img'), Buffer.alloc(1024))
})
afterEach(() => ana[Symbol.asyncDispose]())

/** An environment without QEMU: a command that fails with `noQemu` was not stopped for lack of consent. */
const env = { PATH: '/usr/lib/no-programs' }
const noQemu = /QEMU is not installed/

const write = (options: string, more = '') =>
  writeFile(
    join(ana.folder, 'machines.yaml'),
    `version: 1\nid: 0123abcd\nmachines:\n  dev: { driver: qemu, options: { accelerator: tcg, ${options} }${more} }\n`,
  )
const share = () => `shares: 'home=${ana.home}/code,inv=${ana.folder}/cloud'`

test('a plan shows the resources that a new host can use', async () => {
  await write(`image: ./own.img, ${share()}`, ', userData: cloud/dev.yaml')
  const { code, stdout } = await ana.fleet(['plan'])
  expect(code).toBe(2)
  expect(stdout).toContain(`  + dev: create (the host does not exist yet)
      qemu, 2 CPUs, 2048 MiB memory, 20 GiB disk, ./own.img
      SSH from this computer only
      uses the image ./own.img on this computer
      uses the directory ${ana.home}/code on this computer, shared as home with write access (outside the inventory directory)
      uses the directory ${ana.folder}/cloud on this computer, shared as inv with write access
      uses the user-data file cloud/dev.yaml
`)
  await writeFile(
    join(ana.folder, 'machines.yaml'),
    `version: 1\nid: 0123abcd\nmachines:\n  web: { driver: aws, options: { region: eu-west-1, profile: prod, ports: '80,443', sshCidr: 0.0.0.0/0, instanceProfile: admin } }\n  here: { driver: local, options: { socket: /run/other.sock } }\n`,
  )
  const { changes } = JSON.parse((await ana.fleet(['plan', '--json'])).stdout) as {
    changes: { machine: string; grants?: string[] }[]
  }
  expect(Object.fromEntries(changes.map(({ machine, grants }) => [machine, grants]))).toEqual({
    web: [
      'the AWS profile prod on this computer',
      'the IAM instance profile admin, available to all programs on the host',
      'ports 80,443, open to everyone',
      'SSH, open to 0.0.0.0/0',
    ],
    here: [
      'the Docker engine on this computer, at the socket /run/other.sock (not a known engine socket)',
    ],
  })
})

test('a local socket named only by the inventory receives no data', async () => {
  const socket = join(ana.home, 'run/agent.sock')
  await mkdir(join(ana.home, 'run'))
  await symlink(socket, join(ana.folder, 'engine.sock'))
  let connections = 0
  const server = createServer((_request, response) => {
    connections += 1
    response.end('{}')
  })
  server.on('connection', () => (connections += 1))
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  try {
    const inventory = (path: string) =>
      writeFile(
        join(ana.folder, 'machines.yaml'),
        `version: 1\nid: 0123abcd\nmachines:\n  here: { driver: local, host: { phase: ready, socket: '${path}' } }\n  new: { driver: local, options: { socket: '${path}' } }\n`,
      )
    for (const path of [socket, join(ana.folder, 'engine.sock')]) {
      await inventory(path)
      for (const words of [
        ['ps', '-m', 'here'],
        ['-m', 'here', 'run', 'hello-world'],
        ['status', 'here'],
        ['provision', 'here', '--yes'],
        ['env', 'here'],
        ['plan'],
        ['apply', '--yes'],
        ['create', 'new'],
      ]) {
        const { code, stdout, stderr } = await ana.fleet(words)
        expect({ words, connections, failed: code !== 0 }).toEqual({
          ...{ words, connections: 0, failed: true },
        })
        expect(stdout + stderr).toContain(path)
      }
    }
    const refused = await ana.fleet(['ps', '-m', 'here'])
    expect(refused.stderr).toContain(`fleet apply --allow-path ${socket}`)
    await ana.fleet(['apply', '--yes', '--on', 'here', '--allow-path', socket])
    await ana.fleet(['ps', '-m', 'here'])
    expect(connections).toBeGreaterThan(0)
  } finally {
    server.close()
    server.closeAllConnections()
  }
})

const typing = (answer: string) => [
  { at: 'Make these changes?', type: 'y\r' },
  { at: 'Allow dev to use the directory', type: `${answer}\r` },
]

describe('a path outside the inventory directory', () => {
  test.each(['create', 'apply'])('is not used by %s without a terminal', async (command) => {
    await write(share())
    const words = command === 'create' ? ['create', 'dev'] : ['apply', '--yes']
    const refused = await ana.fleet(words, { env })
    expect(refused.code).toBe(2)
    expect(refused.stderr).toContain('you have not allowed yet')
    expect(refused.stderr).toContain(`--allow-path ${ana.home}/code`)
    expect(refused.stderr).not.toContain(`--allow-path ${ana.folder}`)
    const allowed = await ana.fleet([...words, '--allow-path', join(ana.home, 'code')], { env })
    expect(allowed.stderr).toMatch(noQemu)
    expect((await ana.fleet(words, { env })).stderr).toMatch(noQemu)
  })

  test('requires a separate confirmation on a terminal, which is recorded', async () => {
    await write(share())
    const refused = await ana.fleetOnTerminal(['apply'], typing('n'), { env })
    expect(refused.screen).toContain('; nothing was changed')
    expect(refused.screen).not.toMatch(noQemu)
    const allowed = await ana.fleetOnTerminal(['apply'], typing('y'), { env })
    expect(allowed.screen).toMatch(noQemu)
    expect((await ana.fleet(['apply', '--yes'], { env })).stderr).toMatch(noQemu)
    expect((await ana.fleet(['plan'])).stdout).not.toContain('outside the directory')
    const trust = JSON.parse(await readFile(join(ana.home, 'fleet/trust.json'), 'utf8')) as {
      paths: unknown
    }
    expect(trust.paths).toEqual([
      { inventory: join(ana.folder, 'machines.yaml'), path: join(ana.home, 'code') },
    ])
    expect((await ana.fleet(['trust', 'ls'])).stdout).toContain(join(ana.home, 'code'))
    await ana.fleet(['trust', 'rm', join(ana.home, 'code')])
    expect((await ana.fleet(['apply', '--yes'], { env })).stderr).toContain('not allowed yet')
  })

  test('is allowed only for one inventory and one path', async () => {
    await write(share())
    await ana.fleet(['create', 'dev', '--allow-path', join(ana.home, 'code')], { env })
    const other = join(ana.folder, 'other')
    await mkdir(other)
    await writeFile(join(other, 'machines.yaml'), await ana.inventory())
    const elsewhere = await ana.fleet(['create', 'dev'], { env, cwd: other })
    expect(elsewhere.stderr).toContain('you have not allowed yet')
    await write(`shares: 'home=${ana.home}'`)
    const above = await ana.fleet(['create', 'dev'], { env })
    expect(above.stderr).toContain('you have not allowed yet')
  })

  test('is detected behind symbolic links', async () => {
    await symlink(join(ana.home, 'code'), join(ana.folder, 'code'))
    await write(`shares: 'code=${ana.folder}/code'`)
    expect((await ana.fleet(['create', 'dev'], { env })).stderr).toContain(
      `--allow-path ${ana.home}/code`,
    )
    await writeFile(join(ana.home, 'secret.img'), Buffer.alloc(1024))
    await symlink(join(ana.home, 'secret.img'), join(ana.folder, 'link.img'))
    for (const image of ['./link.img', 'link.img', '../home/secret.img']) {
      await write(`image: ${image}`)
      expect((await ana.fleet(['create', 'dev'], { env })).stderr).toContain(
        `--allow-path ${ana.home}/secret.img`,
      )
    }
  })

  test('is allowed if it was given as an option', async () => {
    const shares = `home=${ana.home}/code`
    const words = ['create', 'dev', '--driver', 'qemu', '--accelerator', 'tcg', '--shares', shares]
    const created = await ana.fleet(words, { env })
    expect(created.stderr).toContain(`dev can use the directory ${ana.home}/code on this computer`)
    expect(created.stderr).toMatch(noQemu)
    await write('cpus: 1')
    await ana.fleet(['set', 'dev', `shares=data=${ana.home}`])
    expect((await ana.fleet(['apply', '--yes'], { env })).stderr).toMatch(noQemu)
  })
})
