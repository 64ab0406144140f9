import { execFileSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { jsonOutputs } from '../../../scripts/json-output/outputs.ts'
import {
  checkJsonMessages,
  checkJsonOutput,
  checkedElsewhere,
  checkedInProcess,
} from '../../support/json-output.ts'
import { type Lab, labIsHere, startLab } from '../../support/lab/lab.ts'
import { type TestUser, makeTestUser } from '../../support/test-user.ts'

describe.skipIf(!labIsHere)('output with --json matches docs/json-output.md', () => {
  let lab: Lab
  let ana: TestUser
  let folder: string
  const seen = new Set<string>()

  /** Runs a command with --json, and checks its result and the JSON lines of its stderr. */
  async function expectJson(id: string | undefined, typed: string, code = 0): Promise<unknown> {
    const [words = '', rest] = typed.split(' -- ')
    const args = [...words.split(' '), '--json', ...(rest === undefined ? [] : ['--', rest])]
    const answer = await ana.fleet(args)
    expect({ args, ...answer }).toMatchObject({ code })
    for (const message of checkJsonMessages(answer.stderr)) seen.add(message)
    if (id === undefined) return undefined
    checkJsonOutput(id, answer.stdout)
    seen.add(id)
    return JSON.parse(answer.stdout.split('\n')[0] ?? '')
  }

  const write = async (name: string, text: string): Promise<string> => {
    const file = join(folder, name)
    await writeFile(file, text)
    return file
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fleet-json-'))
    lab = await startLab({ hosts: 2, engine: true, image: true })
    ana = await makeTestUser({ identity: lab.identity.file, broker: true })
    for (const { name, address } of lab.hosts) {
      await expectJson('create', `adopt root@${address} --name ${name} --accept-new`)
    }
    const started = await ana.fleet(
      'run -d --name app --label a=b -p 8080:80 bb:1 sh -c'.split(' ').concat('echo up; sleep 1d'),
    )
    expect(started).toMatchObject({ code: 0 })
  })
  afterAll(async () => {
    await ana[Symbol.asyncDispose]()
    await lab[Symbol.asyncDispose]()
    await rm(folder, { recursive: true })
  })

  test('for machine commands', async () => {
    await expectJson('ls', 'ls')
    await expectJson('lsLive', 'ls --live')
    await expectJson('status', 'status')
    await expectJson('inspect', 'inspect h1')
    await expectJson('ip', 'ip --on h*')
    await expectJson('use', 'use h1')
    await expectJson('active', 'active')
    await expectJson('set', 'set h1 protected=false')
    await expectJson('set', 'set --on h* protected=false')
    await expectJson('label', 'label h1 role=web')
    await expectJson('label', 'label --on h*')
    await expectJson('provision', 'provision h1 --yes')
    await expectJson('provision', 'provision --on h* --yes')
    await expectJson('ssh', 'ssh --on h* -- hostname')
    const file = await write('some file', 'data')
    await expectJson('cp', `cp ${file.replace('some file', '.')} h1:/tmp/here`)
    expect(seen).toContain('ls')
  })

  test('for inventory commands', async () => {
    await expectJson('init', `init ${folder}/other`)
    await expectJson('check', 'check')
    execFileSync('git', ['init', '-q', ana.folder])
    await expectJson('checkInstallHook', 'check --install-hook')
    const base = await write('base.yaml', await ana.inventory())
    const ours = await write('ours.yaml', await ana.inventory())
    await expectJson('merge', 'merge --install')
    await expectJson('merge', `merge ${base} ${ours} ${base}`)
    await expectJson('plan', 'plan')
    await expectJson('refresh', 'refresh')
    const key = await write('key.pub', await readFile(`${lab.identity.file}.pub`, 'utf8'))
    await expectJson('operatorAdd', `operator add ana --key ${key}`)
    await expectJson('operatorLs', 'operator ls')
    await expectJson('plan', 'plan', 2)
    await expectJson('apply', 'apply --yes')
    expect(seen).toContain('apply')
  })

  test('for container and image commands', async () => {
    await expectJson('ps', 'ps --size')
    await expectJson('ps', 'ps --on h*')
    await expectJson('logs', 'logs app')
    await expectJson('stats', 'stats --no-stream')
    await expectJson('events', 'events --since 10m --until 0s')
    await expectJson('containerInspect', 'container inspect app')
    await expectJson('images', 'images --digests')
    await expectJson('history', 'history bb:1')
    await expectJson('imageLayers', 'image layers --on h*')
    await expectJson('imageCopy', 'image copy bb:1 h1 h2')
    await expectJson('df', 'df --on h*')
    await expectJson('volumeLs', 'volume ls --on h*')
    await expectJson('networkLs', 'network ls --on h*')
    await expectJson('networkLs', 'network ls -m h1')
    expect(await ana.fleet(['--all', 'volume', 'create', 'data'])).toMatchObject({ code: 0 })
    await expectJson('removed', 'volume rm h1/data h2/data')
    await expectJson('prune', 'system prune --volumes --yes --on h*')
    await expectJson('prune', 'network prune --yes')
    await expectJson('registryLs', 'registry ls --on h*')
    await expectJson('registryLogout', 'registry logout reg.example.com --on h*')
    expect(seen).toContain('df')
  })

  test('for commands about fleet itself', async () => {
    await expectJson('contextSync', 'context sync')
    await expectJson('brokerStatus', 'broker status')
    await expectJson('trustAlias', 'trust alias h1')
    await expectJson('trustInventory', `trust inventory ${ana.folder}/machines.yaml`)
    await expectJson('trustLs', 'trust ls')
    await expectJson('trustRm', 'trust rm')
    expect(seen).toContain('trustRm')
  })

  test('for commands that remove and import hosts and change host keys', async () => {
    const [, second] = lab.hosts
    const hosts = await write('hosts', `h2 ansible_host=${second?.address} ansible_user=root\n`)
    await expectJson('rm', 'forget h2')
    await expectJson('importDryRun', `import ansible ${hosts} --dry-run`)
    await expectJson('import', `import ansible ${hosts} --accept-new`)
    const aliases = await write('config', 'Host web-9\n  HostName 192.0.2.9\n')
    await expectJson('importDryRun', `import ssh-config ${aliases} --dry-run`)
    const other = await readFile(`${lab.identity.file}.pub`, 'utf8')
    const [type, words] = other.split(' ')
    const text = await ana.inventory()
    const pinned = text.replaceAll(
      /(?<=^ *- )ssh-ed25519 .*|(?<=hostKeys: \[).*?(?=\])/gm,
      `${type} ${words}`,
    )
    await writeFile(join(ana.folder, 'machines.yaml'), pinned)
    await ana.fleet(['broker', 'stop'])
    await expectJson('rekey', 'rekey h1 --yes')
    await expectJson('rekey', 'rekey --on h2 --yes')
    expect(seen).toContain('rekey')
  })

  test('for errors', async () => {
    await expectJson(undefined, 'inspect nowhere', 3)
    await expectJson(undefined, 'ps --no-such-option', 2)
    await expectJson(undefined, 'history --on h* nothing', 1)
    expect(seen).toContain('error')
  })

  test('and no result was left unchecked', () => {
    const ids = jsonOutputs.flatMap(({ outputs }) => outputs.map(({ id }) => id))
    const others = new Set([...checkedInProcess, ...checkedElsewhere])
    expect(ids.filter((id) => !seen.has(id) && !others.has(id))).toEqual([])
  })
})
