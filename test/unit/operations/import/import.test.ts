import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { array, assert, property, string } from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readDockerMachine } from '../../../../src/operations/import/docker-machine.ts'
import { nameHosts } from '../../../../src/operations/import/imported-host.ts'
import { readSshAliases } from '../../../../src/operations/import/ssh-config.ts'
import { dockerMachineConfigs, secret } from '../../../support/docker/docker-machine-configs.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-along-'))
})
afterAll(() => rm(folder, { recursive: true }))

const noAddress = (title: string, driver: string) => ({
  title,
  reason: `its configuration has no address (driver ${driver})`,
})

describe('a Docker Machine store', () => {
  it.each([1, 2, 3] as const)('is read in config version %s for all drivers', async (version) => {
    const store = join(folder, `v${version}`)
    for (const [name, config] of Object.entries(dockerMachineConfigs(version))) {
      await mkdir(join(store, 'machines', name), { recursive: true })
      await writeFile(join(store, 'machines', name, 'config.json'), JSON.stringify(config))
      await writeFile(join(store, 'machines', name, 'id_rsa'), '')
    }
    const { hosts, skipped } = await readDockerMachine(store, {})
    const key = (name: string) => ({
      identityFile: join(store, 'machines', name, 'id_rsa'),
      keyIsItsOwn: true,
    })
    const id = 'i-0a1b2c3d4e5f60718'
    const subscription = '0a0b0c0d-0000-4000-8000-000000000001'
    const cloud = { driver: 'aws', id, options: { region: 'eu-west-1' } }
    const sky = { driver: 'azure', id: 'docker-machine/sky', options: { subscription } }
    const vm = { driver: 'virtualbox', id: 'vm', options: {} }
    expect(hosts).toEqual([
      { name: 'cloud', address: '203.0.113.10', user: 'ubuntu', ...key('cloud'), known: cloud },
      { name: 'iron', address: '203.0.113.12', user: 'ana', port: 2222, ...key('iron') },
      ...(version < 3 ? [] : [{ name: 'sky', user: 'docker-user', ...key('sky'), known: sky }]),
      { name: 'vm', address: '127.0.0.1', user: 'docker', port: 50_858, ...key('vm'), known: vm },
    ])
    expect(skipped).toEqual([
      noAddress('gone', 'none'),
      ...(version < 3 ? [noAddress('sky', 'azure')] : []),
    ])
    expect(JSON.stringify(hosts)).not.toMatch(new RegExp(`AKIA|${secret}`))
  })

  it.each([
    [
      { Environment: 'AzureChinaCloud', NoPublicIP: true },
      { cloud: 'china', privateOnly: true },
    ],
    [{ Environment: 'AzureUSGovernmentCloud', SubscriptionID: '' }, { cloud: 'usgov' }],
  ])('yields the options of an Azure host for %j', async (fields, options) => {
    const store = join(folder, JSON.stringify(options))
    await mkdir(join(store, 'machines/x'), { recursive: true })
    const Driver = { MachineName: 'x', ResourceGroup: 'g', ...fields }
    const config = { ConfigVersion: 3, DriverName: 'azure', Driver }
    await writeFile(join(store, 'machines/x/config.json'), JSON.stringify(config))
    const { hosts } = await readDockerMachine(store, {})
    expect(hosts).toMatchObject([{ known: { driver: 'azure', id: 'g/x' } }])
    expect(hosts[0]?.known?.options).toEqual(options)
  })

  it('has engine options, which are reported and stay on the host', async () => {
    const store = join(folder, 'engine-options')
    const [{ iron = {} }, place] = [dockerMachineConfigs(3), join(store, 'machines/iron')]
    await mkdir(place, { recursive: true })
    const { HostOptions } = iron as { HostOptions: { EngineOptions: object } }
    const EngineOptions = {
      ...HostOptions.EngineOptions,
      ...{ ArbitraryFlags: ['log-driver=none'], Env: [`TOKEN=${secret}`], Labels: ['spam=eggs'] },
      ...{ InsecureRegistry: ['registry.myco.com'], StorageDriver: 'overlay2' },
      ...{ RegistryMirror: ['https://mirror.example.com'] },
    }
    const config = { ...iron, HostOptions: { ...HostOptions, EngineOptions } }
    await writeFile(join(place, 'config.json'), JSON.stringify(config))
    const { hosts, notes } = await readDockerMachine(store, {})
    expect(hosts).toHaveLength(1)
    expect(notes).toEqual([
      {
        title: 'iron',
        note: 'not imported: --engine-opt log-driver=none, --engine-storage-driver overlay2, --engine-label spam=eggs, --engine-env TOKEN, --engine-insecure-registry registry.myco.com, --engine-registry-mirror https://mirror.example.com; the host keeps these options in /etc/systemd/system/docker.service.d/10-machine.conf',
      },
    ])
  })

  it('of a later version is skipped', async () => {
    const store = join(folder, 'v9')
    await mkdir(join(store, 'machines/x'), { recursive: true })
    await writeFile(join(store, 'machines/x/config.json'), '{"ConfigVersion": 9}')
    expect(await readDockerMachine(store, {})).toEqual({
      hosts: [],
      skipped: [
        {
          title: 'x',
          reason: 'its configuration has version 9, but fleet supports only versions up to 3',
        },
      ],
    })
  })

  it('yields machine names from directories, and skips invalid directories', async () => {
    const store = join(folder, 'folders')
    const Driver = { MachineName: 'default', IPAddress: '203.0.113.1' }
    const config = { ConfigVersion: 3, DriverName: 'generic', Driver }
    for (const [name, text] of [
      ['default', JSON.stringify(config)],
      ['shop', JSON.stringify(config)],
      ['incomplete', '{"ConfigVersion"'],
      ['null', 'null'],
      ['.trash', '{}'],
    ] as const) {
      await mkdir(join(store, 'machines', name), { recursive: true })
      await writeFile(join(store, 'machines', name, 'config.json'), text)
    }
    await mkdir(join(store, 'machines', 'empty'))
    await writeFile(join(store, 'machines', 'README'), '')
    const { hosts, skipped } = await readDockerMachine(store, {})
    expect(hosts.map(({ name }) => name)).toEqual(['default', 'shop'])
    expect(skipped.map(({ title }) => title)).toEqual(['empty', 'incomplete', 'null'])
    expect(skipped[0]?.reason).toBe('its directory has no config.json')
  })

  it('yields no address for a VirtualBox machine without a forwarded port', async () => {
    const store = join(folder, 'no-port')
    await mkdir(join(store, 'machines/vm'), { recursive: true })
    const Driver = { MachineName: 'vm', IPAddress: '192.168.99.100', SSHPort: 0 }
    const config = { ConfigVersion: 3, DriverName: 'virtualbox', Driver }
    await writeFile(join(store, 'machines/vm/config.json'), JSON.stringify(config))
    const { hosts } = await readDockerMachine(store, {})
    expect(hosts[0]).toMatchObject({ known: { driver: 'virtualbox', id: 'vm' } })
    expect(hosts[0]?.address).toBeUndefined()
  })

  it('that does not exist is reported', async () => {
    await expect(readDockerMachine(join(folder, 'none'), {})).rejects.toMatchObject({
      kind: 'usage',
    })
  })
})

describe('the hosts in an ssh configuration', () => {
  let home = ''
  const write = async (files: Readonly<Record<string, string>>) => {
    home = await mkdtemp(join(folder, 'home-'))
    for (const [name, text] of Object.entries(files)) {
      const file = join(home, '.ssh', name)
      await mkdir(dirname(file), { recursive: true })
      await writeFile(file, text)
    }
  }
  const aliases = async (file?: string) =>
    (await readSshAliases(file && join(home, '.ssh', file), { HOME: home, ZONE: 'eu' })).aliases

  it.each([
    ['Host web-1 "web-2" web-* !x', ['web-1', 'web-2']],
    ['Host pi  # Raspberry Pi', ['pi']],
    ['host=db\r\nHost = "two words" a#b', ['db', 'two words', 'a#b']],
    ['  HOST\tone\n# Host two\nHostName three\nMatch host four\nHost *', ['one']],
  ])('are read from %j', async (text, expected) => {
    await write({ config: text })
    expect(await aliases()).toEqual(expected)
  })

  it.each([
    ['more/*', ['a', 'b']],
    ['more/[a]', ['a']],
    ['"~/.ssh/more/?" more/a', ['a', 'b']],
    ['*/b', ['b']],
    ['%d/.ssh/${ZONE}/*', ['c']],
    ['config', []],
    ['nowhere/*', []],
  ])('are found in files included by %s', async (pattern, expected) => {
    await write({
      config: `Include ${pattern}\n`,
      'more/a': 'Host a\n',
      'more/b': 'Host b\n',
      'more/.hidden': 'Host hidden\n',
      'eu/c': 'Host c\n',
    })
    expect(await aliases()).toEqual(expected)
  })

  it.each([
    ['Match exec "touch /tmp/x"', ['1']],
    ['Host a\n match  ORIGINALHOST a !Exec="x"', ['2']],
    ['Include inner', ['inner:1']],
    ['Host a\nMatch host executive', ['2']], // a false positive is the safe choice
    ['Host exec', []],
  ])('come with the positions of commands that ssh would run: %j', async (text, places) => {
    await write({ theirs: `${text}\n`, inner: 'Match exec x\n' })
    const file = join(home, '.ssh/theirs')
    const { commands } = await readSshAliases(file, { HOME: home })
    expect(commands).toEqual(
      places.map((place) => (place.includes(':') ? `${home}/.ssh/${place}` : `${file}:${place}`)),
    )
  })

  it("come with Include lines that only ssh can resolve, except for the user's own configuration", async () => {
    const text = 'Include %h.conf\nMatch exec x\n'
    await write({ config: text, theirs: text })
    const found = await readSshAliases(join(home, '.ssh/theirs'), { HOME: home })
    expect(found.unread).toEqual([`${home}/.ssh/theirs:1`])
    const nothing = { aliases: [], commands: [], unread: [] }
    expect(await readSshAliases(undefined, { HOME: home })).toEqual(nothing)
    expect(await readSshAliases(join(home, '.ssh/config'), { HOME: home })).toEqual(nothing)
  })
})

describe('hosts with the same name', () => {
  const host = { address: '203.0.113.1' }

  it('get longer names, or numbers if those are the same too', () => {
    const { hosts } = nameHosts([
      { titles: ['web', 'web-0', 'a-web-0'], host },
      { titles: ['web', 'web-0', 'b-web-0'], host },
      { titles: ['b-web-0'], host },
      { titles: ['db'], host },
      { titles: ['db'], host },
    ])
    expect(hosts.map(({ name }) => name)).toEqual(['web-0', 'web', 'b-web-0', 'db', 'db-2'])
  })

  it('always get unique machine names', () => {
    assert(
      property(array(array(string(), { maxLength: 3 }), { maxLength: 12 }), (all) => {
        const { hosts, skipped } = nameHosts(all.map((titles) => ({ titles, host })))
        expect(hosts.length + skipped.length).toBe(all.length)
        expect(new Set(hosts.map(({ name }) => name)).size).toBe(hosts.length)
      }),
    )
  })
})
