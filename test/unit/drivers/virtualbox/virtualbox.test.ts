import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deflateRawSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { releasePort, reservePort } from '../../../../src/drivers/net/reserve-port.ts'
import {
  parseExtraData,
  parseFields,
  parseIds,
  parseMedia,
} from '../../../../src/drivers/virtualbox/parse-output.ts'
import { forwardedPorts } from '../../../../src/drivers/virtualbox/port-forwarding.ts'
import { virtualBoxDriver } from '../../../../src/drivers/virtualbox/driver.ts'
import {
  findVBoxManage,
  candidatePaths,
  parseVersion,
} from '../../../../src/drivers/virtualbox/find-vboxmanage.ts'
import {
  firstName,
  hasNetworks,
  interfaceCommands,
  macAddressOf,
  networkCommands,
  withColons,
} from '../../../../src/drivers/virtualbox/host-only.ts'
import { stateOf } from '../../../../src/drivers/virtualbox/machine.ts'
import { creationCommands, hardware } from '../../../../src/drivers/virtualbox/make.ts'
import { virtualBoxOptions } from '../../../../src/drivers/virtualbox/options.ts'
import { unpackQcow2 } from '../../../../src/drivers/virtualbox/qcow2.ts'
import { compareMachine, optionsOf } from '../../../../src/drivers/virtualbox/update.ts'
import { parseShares } from '../../../../src/drivers/local-hosts.ts'
import { readSnapshots } from '../../../../src/drivers/virtualbox/snapshots.ts'
import {
  VBoxError,
  isMissing,
  openVBoxManage,
} from '../../../../src/drivers/virtualbox/vboxmanage.ts'
import type { MachineName } from '../../../../src/machine/name.ts'

const token = '9e49abb7-92f4-45ff-b80e-54e5ea333e5f'
const warning =
  'WARNING: The character device /dev/vboxdrv does not exist.\n\t Please install the virtualbox-dkms package.\n'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'virtualbox-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('parsing the output of VBoxManage', () => {
  test('reads machine-readable fields, and skips other lines', () => {
    const fields = parseFields(
      `${warning}name="dev"\r\nmemory=512\n"Disks-0-0"="/a b/disk.vdi"\n rec_screen0\nVMState="poweroff"\nForwarding(0)="ssh,tcp,127.0.0.1,2222,,22"\n`,
    )
    expect(Object.fromEntries(fields)).toEqual({
      name: 'dev',
      memory: '512',
      'Disks-0-0': '/a b/disk.vdi',
      VMState: 'poweroff',
      'Forwarding(0)': 'ssh,tcp,127.0.0.1,2222,,22',
    })
    expect(forwardedPorts(fields)).toEqual([2222])
  })

  test('reads the IDs of machines, including inaccessible ones', () => {
    expect(parseIds(`${warning}"a {b}" {${token}}\n"<inaccessible>" {${token}}\r\n`)).toEqual([
      token,
      token,
    ])
  })

  test('reads tags from extra data', () => {
    expect(parseExtraData('Key: fleet:id, Value: 4f0c\nKey: x, Value: a, Value: b\n')).toEqual({
      'fleet:id': '4f0c',
      x: 'a, Value: b',
    })
  })

  test('reads disks and their parents', () => {
    const other = token.replace('9', '8')
    const text = `UUID:           ${token}\nParent UUID:    base\nLocation:       /b/base disk.vdi\n\nUUID:           ${other}\nParent UUID:    ${token}\nLocation:       /m/disk.vdi\n`
    expect(parseMedia(text)).toEqual([
      { id: token, parent: undefined, path: '/b/base disk.vdi' },
      { id: other, parent: token, path: '/m/disk.vdi' },
    ])
    expect(parseMedia('')).toEqual([])
  })

  test('reads snapshots with their times, and whether the machine was running', () => {
    const other = token.replace('9', '8')
    const names = `SnapshotName="old"\nSnapshotUUID="${token}"\nSnapshotName-1="new"\nSnapshotUUID-1="${other}"\nCurrentSnapshotName="new"\n`
    const settings = `<Snapshot uuid="{${token}}" name="old" timeStamp="2026-11-25T09:37:10Z"><Snapshot uuid="{${other}}" name="new" timeStamp="2026-11-25T09:38:10Z" stateFile="Snapshots/a.sav">`
    expect(readSnapshots(names, settings)).toEqual([
      { id: token, name: 'old', created: '2026-11-25T09:37:10Z', isRunning: false },
      { id: other, name: 'new', created: '2026-11-25T09:38:10Z', isRunning: true },
    ])
  })

  test.each([
    ['running', 'running'],
    ['paused', 'paused'],
    ['saved', 'stopped'],
    ['aborted', 'stopped'],
    ['aborted-saved', 'stopped'],
    ['gurumeditation', 'unknown'],
  ])('maps the state %s to %s', (word, state) => {
    expect(stateOf(word)).toBe(state)
  })

  test('distinguishes transient errors from permanent ones', () => {
    const locked = new VBoxError(
      ['unregistervm'],
      "VBoxManage: error: Cannot unregister the machine 'g1' while it is locked\nVBoxManage: error: Details: code VBOX_E_INVALID_OBJECT_STATE (0x80bb0007), component MachineWrap\n",
    )
    expect(locked.isTransient).toBe(true)
    expect(locked.message).toContain("Cannot unregister the machine 'g1' while it is locked")
    const passing = [
      'VBoxManage: error: Code NS_ERROR_FAILURE (0x80004005) - Operation failed (extended info not available)',
      "VBoxManage: error: The machine 'm' already has a lock request pending",
    ].map((stderr) => new VBoxError(['list'], stderr).isTransient)
    expect(passing).toEqual([true, true])
    const unattached = new VBoxError(
      ['storageattach'],
      "VBoxManage: error: No drive attached to device slot 0 on port 1 of controller 'Disks'\nVBoxManage: error: Details: code VBOX_E_OBJECT_NOT_FOUND (0x80bb0001), component SessionMachine\n",
    )
    expect(unattached.isTransient).toBe(true)
    const silent = [['showvminfo'], ['list'], ['createvm']].map((words) => new VBoxError(words, ''))
    expect(silent.map(({ isTransient }) => isTransient)).toEqual([true, true, false])
    const ending =
      'VBoxManage: error: Failed to get a console object from the direct session (VBOX_E_INVALID_OBJECT_STATE)\nVBoxManage: error: Details: code VBOX_E_VM_ERROR (0x80bb0003), component SessionMachine\n'
    expect(new VBoxError(['showvminfo'], ending).isTransient).toBe(true)
    expect(new VBoxError(['modifyvm'], ending).isTransient).toBe(false)
    const gone = new VBoxError(
      ['showvminfo'],
      "VBoxManage: error: Could not find a registered machine named 'x'\nVBoxManage: error: Details: code VBOX_E_OBJECT_NOT_FOUND (0x80bb0001), component VirtualBoxWrap\n",
    )
    const going = new VBoxError(
      ['showvminfo'],
      "VBoxManage: error: The machine 'm' is not registered\n",
    )
    expect(isMissing(going)).toBe(true)
    expect([gone.isTransient, isMissing(gone), isMissing(locked)]).toEqual([false, true, false])
  })
})

test('repeats showvminfo if its output has no state', async () => {
  const path = join(folder, 'VBoxManage')
  const lines = [
    '#!/bin/sh',
    '[ "$1" = --version ] && echo 7.2.22r175245 && exit',
    `echo 'name="web-1"'; [ -e ${folder}/asked ] && echo 'VMState="running"'; : > ${folder}/asked`,
  ]
  await writeFile(path, `${lines.join('\n')}\n`, { mode: 0o755 })
  const vbox = openVBoxManage({ ...process.env, PATH: `${folder}:${process.env['PATH']}` })
  const call = { signal: AbortSignal.timeout(60_000) }
  expect(await vbox.run(['showvminfo', 'web-1', '--machinereadable'], call)).toContain('running')
  await rm(path)
})

describe('finding VBoxManage', () => {
  test('tries the paths of each platform', () => {
    expect(candidatePaths({}, 'linux')[0]).toBe('VBoxManage')
    expect(candidatePaths({}, 'darwin')).toContain(
      '/Applications/VirtualBox.app/Contents/MacOS/VBoxManage',
    )
    expect(candidatePaths({ VBOX_MSI_INSTALL_PATH: 'D:/vb' }, 'win32')[0]).toMatch(
      /^D:.vb.VBoxManage/,
    )
  })

  test('reads its version after warnings', () => {
    expect(parseVersion(`${warning}7.2.22_Debianr175245\n`)).toEqual({ major: 7, minor: 2 })
    expect(parseVersion('nothing')).toBeUndefined()
  })

  test('reports a version that is too old', async () => {
    const path = join(folder, 'VBoxManage')
    await writeFile(path, '#!/bin/sh\necho 5.2.44r139111\n', { mode: 0o755 })
    const env = { ...process.env, PATH: `${folder}:${process.env['PATH']}` }
    await expect(findVBoxManage(env, 'linux')).rejects.toMatchObject({
      kind: 'unsupported',
      message: 'VirtualBox 5.2 is too old: version 6.1 or later is required',
    })
    await rm(path)
  })

  test.each([
    ['linux', 'apt-get'],
    ['darwin', 'brew'],
    ['win32', 'winget'],
  ] as const)(
    'on %s explains how to install VirtualBox if it is missing',
    async (platform, word) => {
      await expect(findVBoxManage({ PATH: folder }, platform)).rejects.toMatchObject({
        kind: 'unsupported',
        hint: expect.stringContaining(word) as string,
      })
    },
  )
})

describe('VBoxManage command lines', () => {
  const options = virtualBoxOptions.parse({ cpus: 4, shares: 'src=/home/me/src' })

  test('set the hardware', () => {
    const words = hardware(options, token, 22_222).join(' ')
    expect(words).toContain('--cpus 4 --memory 2048')
    expect(words).toContain('--natpf1 ssh,tcp,127.0.0.1,22222,,22')
  })

  test('create a machine with its token as ID, then set its tags, and mark it as complete at the end', () => {
    const tags = { fleet: 'true', 'fleet:token': token }
    const at = {
      folder: '/f',
      disk: '/f/disk.vdi',
      seed: '/f/seed.iso',
      port: 22_222,
      adapters: [],
    }
    const lines = creationCommands({ name: 'dev' as MachineName, token, tags }, options, at)
    expect(lines[0]).toEqual(expect.arrayContaining(['createvm', 'dev-9e49abb7', token]))
    expect(lines[1]).toEqual(['setextradata', token, 'fleet', 'true'])
    expect(lines.at(-2)).toEqual(expect.arrayContaining(['sharedfolder', '/home/me/src']))
    expect(lines.at(-1)).toEqual(['setextradata', token, 'fleet:whole', 'true'])
  })

  test('create host-only networks', () => {
    expect([hasNetworks('darwin', 7), hasNetworks('darwin', 6), hasNetworks('linux', 7)]).toEqual([
      true,
      false,
      false,
    ])
    expect(networkCommands()[0]?.slice(0, 2)).toEqual(['hostonlynet', 'add'])
    expect(interfaceCommands('vboxnet0').map(([word]) => word)).toEqual([
      'hostonlyif',
      'dhcpserver',
    ])
    expect(firstName('Name:            vboxnet0\nGUID: x\n')).toBe('vboxnet0')
    expect(firstName('')).toBeUndefined()
    expect(withColons(macAddressOf(token, 2))).toBe('08:00:27:9e:49:a2')
  })

  test('add shared folders', () => {
    expect(parseShares('a=/x, b=C:\\y')).toEqual([
      { name: 'a', path: '/x' },
      { name: 'b', path: 'C:\\y' },
    ])
    expect([parseShares('a=x'), parseShares('a=/x,a=/y'), parseShares('')]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
  })
})

describe('comparing a machine with its options', () => {
  const fields = parseFields(
    'cpus=2\nmemory=2048\ndefaultfrontend="headless"\nnic2="none"\nSharedFolderNameMachineMapping1="a"\nSharedFolderPathMachineMapping1="/x"\n',
  )
  const options = optionsOf({ id: token, name: 'dev', state: 'running', settings: '', fields })
  const host = { phase: 'ready' as const, user: 'fleet', resources: { image: 'i', disk: '20' } }
  const compare = (changed: Readonly<Record<string, unknown>>) =>
    compareMachine(host, virtualBoxOptions.parse({ image: 'i', shares: 'a=/x', ...changed }), {
      state: 'running',
      options,
    }).map(({ option, from, to, how }) => [option, from, to, how])

  test('reports no difference if they are equal', () => {
    expect(compare({})).toEqual([])
  })

  test.each([
    [{ cpus: 4 }, ['cpus', '2', '4', 'stop']],
    [{ memory: 4096 }, ['memory', '2048', '4096', 'stop']],
    [{ disk: 40 }, ['disk', '20', '40', 'stop']],
    [{ disk: 10 }, ['disk', '20', '10', 'replace']],
    [{ gui: true }, ['gui', 'false', 'true', 'stop']],
    [{ shares: 'b=/y,a=/x' }, ['shares', 'a=/x', 'a=/x,b=/y', 'stop']],
    [{ shares: undefined }, ['shares', 'a=/x', 'none', 'stop']],
    [{ hostOnly: true }, ['hostOnly', 'false', 'true', 'replace']],
    [{ image: 'j' }, ['image', 'i', 'j', 'replace']],
    [{ user: 'me' }, ['user', 'fleet', 'me', 'replace']],
  ])('reports the difference for %j', (changed, difference) => {
    expect(compare(changed)).toEqual([difference])
  })

  test('reports no difference for options that are not known', () => {
    const observed = { state: 'stopped' as const }
    expect(compareMachine({ phase: 'ready' }, virtualBoxOptions.parse({}), observed)).toEqual([])
  })
})

test('reports a host of another computer as unknown, and does not remove it', async () => {
  const driver = virtualBoxDriver(folder, process.env)
  const record = { phase: 'ready' as const, token, resources: { computer: 'not-this-one' } }
  const call = { signal: new AbortController().signal, progress: () => {} }
  const name = 'dev' as MachineName
  expect((await driver.observe(new Map([[name, record]]), call)).get(name)).toEqual({
    state: 'unknown',
  })
  await expect(driver.lifecycle?.remove(record, call)).rejects.toThrow('not-this-one')
})

describe('reserved ports', () => {
  test('are stable for each token, differ between tokens, and can be released', async () => {
    const file = join(folder, 'ports.json')
    const [one, two] = await Promise.all([reservePort(file, 'a'), reservePort(file, 'b')])
    expect(one).not.toBe(two)
    expect(await reservePort(file, 'a')).toBe(one)
    await releasePort(file, 'a')
    expect(Object.keys(JSON.parse(await readFile(file, 'utf8')) as object)).toEqual(['b'])
  })
})

/** Writes a qcow2 image of four clusters: data, unallocated, compressed data, zeros. Returns its contents. */
async function writeQcow2(path: string, features = 0n): Promise<Buffer> {
  const cluster = 65_536
  const [plain, packed] = [Buffer.alloc(cluster, 'a'), Buffer.alloc(cluster, 'bc')]
  const deflated = deflateRawSync(packed)
  const header = Buffer.alloc(112)
  header.write('QFI\u{fb}', 'latin1')
  header.writeUInt32BE(3, 4)
  header.writeUInt32BE(16, 20)
  header.writeBigUInt64BE(BigInt(4 * cluster), 24)
  header.writeUInt32BE(1, 36)
  header.writeBigUInt64BE(BigInt(cluster), 40)
  header.writeBigUInt64BE(features, 72)
  const table = Buffer.alloc(32)
  const [dataAt, packedAt] = [3 * cluster, 4 * cluster]
  const sectors = BigInt(Math.ceil(deflated.length / 512) - 1)
  table.writeBigUInt64BE((1n << 63n) | BigInt(dataAt), 0)
  table.writeBigUInt64BE((1n << 62n) | (sectors << 54n) | BigInt(packedAt), 16)
  table.writeBigUInt64BE(1n, 24)
  const first = Buffer.alloc(8)
  first.writeBigUInt64BE((1n << 63n) | BigInt(2 * cluster))
  await using file = await open(path, 'w')
  for (const [bytes, at] of [
    [header, 0],
    [first, cluster],
    [table, 2 * cluster],
    [plain, dataAt],
    [deflated, packedAt],
  ] as const) {
    await file.write(bytes, 0, bytes.length, at)
  }
  return Buffer.concat([plain, Buffer.alloc(cluster), packed, Buffer.alloc(cluster)])
}

describe('qcow2 images', () => {
  const { signal } = new AbortController()

  test('are unpacked, including compressed clusters', async () => {
    const [from, to] = [join(folder, 'a.qcow2'), join(folder, 'a.raw')]
    const content = await writeQcow2(from)
    await unpackQcow2(from, to, signal)
    expect((await readFile(to)).equals(content)).toBe(true)
  })

  test('with unsupported features are refused, with the command that converts them', async () => {
    const from = join(folder, 'b.qcow2')
    await writeQcow2(from, 1n << 4n)
    await expect(unpackQcow2(from, join(folder, 'b.raw'), signal)).rejects.toMatchObject({
      kind: 'usage',
      hint: expect.stringContaining('qemu-img convert') as string,
    })
  })
})
