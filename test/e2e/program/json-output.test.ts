import { execFileSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { jsonOutputs } from '../../../scripts/json-output/outputs.ts'
import { checkJsonMessages, checkJsonOutput } from '../../support/json-output.ts'
import { type Lab, labIsHere, startLab } from '../../support/lab/lab.ts'
import { type Person, makePerson } from '../../support/test-user.ts'

/** Results that other tests check, because they need a driver that creates hosts. */
const checkedElsewhere = ['allow', 'cacheLs', 'gc', 'grantEvent', 'snapshotLs', 'trustAdd']

describe.skipIf(!labIsHere)('output with --json is as docs/json-output.md describes it', () => {
  let lab: Lab
  let ana: Person
  let folder: string
  const seen = new Set<string>()

  /** Runs a command with --json, and checks its result and the JSON lines of its stderr. */
  async function run(id: string | undefined, typed: string, code = 0): Promise<unknown> {
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
    ana = await makePerson({ identity: lab.identity.file, broker: true })
    for (const { name, address } of lab.hosts) {
      await run('create', `adopt root@${address} --name ${name} --accept-new`)
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

  test('of machines', async () => {
    await run('ls', 'ls')
    await run('lsLive', 'ls --live')
    await run('status', 'status')
    await run('inspect', 'inspect h1')
    await run('ip', 'ip --on h*')
    await run('use', 'use h1')
    await run('active', 'active')
    await run('set', 'set h1 protected=false')
    await run('set', 'set --on h* protected=false')
    await run('label', 'label h1 role=web')
    await run('label', 'label --on h*')
    await run('provision', 'provision h1 --yes')
    await run('provision', 'provision --on h* --yes')
    await run('ssh', 'ssh --on h* -- hostname')
    const file = await write('some file', 'data')
    await run('cp', `cp ${file.replace('some file', '.')} h1:/tmp/here`)
    await run('cp', 'cp --on h* h1:/etc/hostname :/tmp/name', 2).catch(() => undefined)
  })

  test('of the inventory', async () => {
    await run('init', `init ${folder}/other`)
    await run('check', 'check')
    execFileSync('git', ['init', '-q', ana.folder])
    await run('checkInstallHook', 'check --install-hook')
    const base = await write('base.yaml', await ana.inventory())
    const ours = await write('ours.yaml', await ana.inventory())
    await run('merge', `merge ${base} ${ours} ${base}`)
    await run('plan', 'plan')
    await run('refresh', 'refresh')
    const key = await write('key.pub', await readFile(`${lab.identity.file}.pub`, 'utf8'))
    await run('operatorAdd', `operator add ana --key ${key}`)
    await run('operatorLs', 'operator ls')
    await run('plan', 'plan', 2)
    await run('apply', 'apply --yes')
  })

  test('of containers and images', async () => {
    await run('ps', 'ps --size')
    await run('ps', 'ps --on h*')
    await run('logs', 'logs app')
    await run('stats', 'stats --no-stream')
    await run('events', 'events --since 10m --until 0s')
    await run('containerInspect', 'container inspect app')
    await run('images', 'images --digests')
    await run('history', 'history bb:1')
    await run('imageLayers', 'image layers --on h*')
    await run('imageCopy', 'image copy bb:1 h1 h2')
    await run('df', 'df --on h*')
  })

  test('of fleet itself', async () => {
    await run('contextSync', 'context sync')
    await run('brokerStatus', 'broker status')
    await run('trustInventory', `trust inventory ${ana.folder}/machines.yaml`)
    await run('trustLs', 'trust ls')
    await run('trustRm', 'trust rm')
  })

  test('of hosts that are removed and imported, and of host keys', async () => {
    const [, second] = lab.hosts
    const hosts = await write('hosts', `h2 ansible_host=${second?.address} ansible_user=root\n`)
    await run('rm', 'forget h2')
    await run('importDryRun', `import ansible ${hosts} --dry-run`)
    await run('import', `import ansible ${hosts} --accept-new`)
    const aliases = await write('config', 'Host web-9\n  HostName 192.0.2.9\n')
    await run('importDryRun', `import ssh-config ${aliases} --dry-run`)
    const other = await readFile(`${lab.identity.file}.pub`, 'utf8')
    const [type, words] = other.split(' ')
    const text = await ana.inventory()
    const pinned = text.replaceAll(
      /(?<=^ *- )ssh-ed25519 .*|(?<=hostKeys: \[).*?(?=\])/gm,
      `${type} ${words}`,
    )
    await writeFile(join(ana.folder, 'machines.yaml'), pinned)
    await ana.fleet(['broker', 'stop'])
    await run('rekey', 'rekey h1 --yes')
    await run('rekey', 'rekey --on h2 --yes')
  })

  test('of errors', async () => {
    await run(undefined, 'inspect nowhere', 3)
    await run(undefined, 'ps --no-such-option', 2)
    await run(undefined, 'history --on h* nothing', 1)
  })

  test('all results were checked', () => {
    const ids = jsonOutputs.flatMap(({ outputs }) => outputs.map(({ id }) => id))
    expect(ids.filter((id) => !seen.has(id) && !checkedElsewhere.includes(id))).toEqual([])
  })
})
