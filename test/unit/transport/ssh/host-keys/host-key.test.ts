import { execFile } from 'node:child_process'
import { appendFile, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fingerprint, parsePublicKey } from '../../../../../src/transport/ssh/host-keys/host-key.ts'
import {
  findKnownHost,
  findRevokedKeys,
  selectKnownHost,
} from '../../../../../src/transport/ssh/host-keys/known-hosts.ts'

const execute = promisify(execFile)

const select = (text: string, address: string, port = 22) =>
  selectKnownHost(text, 'known_hosts', { address, port })
const trusted = (text: string, address: string, port = 22) =>
  select(text, address, port).trusted.map(({ key }) => key)

describe('host keys and known_hosts, compared with ssh-keygen', () => {
  let folder: string
  const keys: Record<'ed25519' | 'ecdsa' | 'rsa', string> = { ed25519: '', ecdsa: '', rsa: '' }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'host-keys-'))
    for (const type of ['ed25519', 'ecdsa', 'rsa'] as const) {
      const file = join(folder, type)
      await execute('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', 'a comment', '-f', file])
      keys[type] = parsePublicKey(await readFile(`${file}.pub`, 'utf8')) ?? ''
    }
  })
  afterAll(() => rm(folder, { recursive: true }))

  test.each(['ed25519', 'ecdsa', 'rsa'] as const)(
    'the fingerprint of a key of type %s is the same',
    async (type) => {
      const { stdout } = await execute('ssh-keygen', ['-l', '-f', join(folder, `${type}.pub`)])
      expect(fingerprint(keys[type])).toBe(stdout.split(' ')[1])
    },
  )

  test('a public key is parsed without its comment, and an invalid key is refused', async () => {
    const text = await readFile(join(folder, 'ed25519.pub'), 'utf8')
    expect(parsePublicKey(text)).toBe(text.split(' ').slice(0, 2).join(' '))
    for (const wrong of [
      '',
      'ssh-ed25519',
      'ssh-rsa AAAA',
      'ssh-rsa !!!',
      keys.rsa.replace('rsa', 'dss'),
    ])
      expect(parsePublicKey(wrong)).toBeUndefined()
  })

  /** Returns whether a line with these host patterns applies to an address. */
  const applies = (hosts: string, address: string, port = 22) =>
    trusted(`${hosts} ${keys.ed25519} comment here`, address, port).length > 0

  test.each([
    ['web.example', 'web.example', 22, true],
    ['web.example', 'WEB.Example', 22, true],
    ['web.example', 'webxexample', 22, false],
    ['web.example', 'web.example', 2222, false],
    ['[web.example]:2222', 'web.example', 2222, true],
    ['[web.example]:2222', 'web.example', 22, false],
    ['a,b,c', 'b', 22, true],
    ['10.0.0.*', '10.0.0.17', 22, true],
    ['10.0.0.?', '10.0.0.17', 22, false],
    ['*.example,!db.example', 'web.example', 22, true],
    ['*.example,!db.example', 'db.example', 22, false],
    ['!db.example', 'web.example', 22, false],
    ['*', 'web.example', 2222, true],
    ['2001:db8::1', '2001:db8::1', 22, true],
    ['#web.example', '#web.example', 22, false],
  ])('the pattern %s matches %s, port %i: %s', (hosts, address, port, expected) => {
    expect(applies(hosts, address, port)).toBe(expected)
  })

  test('a hashed line matches exactly its names', async () => {
    const file = join(folder, 'hashed')
    await writeFile(file, `web.example,10.0.0.1 ${keys.ed25519}\n[db.example]:2222 ${keys.rsa}\n`)
    await execute('ssh-keygen', ['-H', '-f', file])
    const text = await readFile(file, 'utf8')
    expect(text).not.toContain('example')
    expect(trusted(text, 'web.example', 22)).toEqual([keys.ed25519])
    expect(trusted(text, '10.0.0.1', 22)).toEqual([keys.ed25519])
    expect(trusted(text, 'db.example', 2222)).toEqual([keys.rsa])
    expect(trusted(text, 'db.example', 22)).toEqual([])
  })

  test('matches are the same as with ssh-keygen -F', async () => {
    const file = join(folder, 'mixed')
    const lines = [`*.lab,!h2.lab ${keys.ed25519}`, `h? ${keys.ecdsa}`, `[h1]:2022,h1 ${keys.rsa}`]
    await writeFile(file, lines.join('\n'))
    const text = await readFile(file, 'utf8')
    for (const name of ['h1', 'h2', 'h10', 'h1.lab', 'h2.lab', 'lab']) {
      const found = await execute('ssh-keygen', ['-F', name, '-f', file]).catch(() => ({
        stdout: '',
      }))
      const expected = found.stdout
        .split('\n')
        .flatMap((line) => parsePublicKey(line.split(' ').slice(1).join(' ')) ?? [])
      expect(trusted(text, name, 22)).toEqual(expected)
    }
  })

  test('certificate authorities are returned separately, with their lines', () => {
    const text = [
      '# what is known',
      `web ${keys.ed25519}`,
      `@cert-authority * ${keys.ecdsa}`,
      'web not-a-key',
      '',
    ].join('\n')
    expect(select(text, 'web')).toEqual({
      trusted: [{ key: keys.ed25519, file: 'known_hosts', line: 2 }],
      revoked: [],
      authorities: [{ key: keys.ecdsa, file: 'known_hosts', line: 3 }],
    })
  })

  test.each([
    ['web', 'web', 22, true],
    ['web', 'web', 2222, true],
    ['[web]:2222', 'web', 2222, true],
    ['[web]:2222', 'web', 22, false],
    ['*', 'web', 2222, true],
    ['*,!web', 'web', 22, false],
    ['w?b,x', 'web', 22, true],
    ['db', 'web', 22, false],
  ])('@revoked %s applies to %s at port %i: %s', (hosts, address, port, expected) => {
    const { revoked } = select(`@revoked ${hosts} ${keys.rsa}`, address, port)
    expect(revoked.map(({ key }) => key)).toEqual(expected ? [keys.rsa] : [])
  })

  test('a key is not trusted if another file or a hashed name revokes it', async () => {
    const [own, system] = [join(folder, 'own'), join(folder, 'system')]
    await writeFile(own, `web ${keys.ed25519}\nweb ${keys.rsa}\nweb ${keys.ecdsa}\n`)
    await writeFile(system, `web ${keys.ed25519}\n`)
    await execute('ssh-keygen', ['-H', '-f', system])
    const hashed = await readFile(system, 'utf8')
    await writeFile(system, `@revoked * ${keys.rsa}\n@revoked ${hashed}`)
    const query = { address: 'web', port: 22, files: [own, system] }
    const { trusted: left } = await findKnownHost(query, {})
    expect(left).toEqual([{ key: keys.ecdsa, file: own, line: 3 }])
    expect(await findRevokedKeys(query, {})).toEqual([
      { key: keys.rsa, file: system, line: 1 },
      { key: keys.ed25519, file: system, line: 2 },
    ])
  })

  test('an alias is looked up instead of the address and the port', () => {
    const query = { address: '192.0.2.1', port: 2222, alias: 'the-alias' }
    const text = `the-alias ${keys.ed25519}\n[192.0.2.1]:2222 ${keys.rsa}\n`
    expect(selectKnownHost(text, 'f', query).trusted.map(({ key }) => key)).toEqual([keys.ed25519])
  })

  test("the user's own files are searched", async () => {
    const home = join(folder, 'home')
    await mkdir(join(home, '.ssh'), { recursive: true })
    const [first, second] = [join(home, '.ssh/known_hosts'), join(home, '.ssh/known_hosts2')]
    await writeFile(first, `only.this.test ${keys.ed25519}\n`)
    await copyFile(first, second)
    await appendFile(second, `only.this.test ${keys.ecdsa}`)
    const query = { address: 'only.this.test', port: 22 }
    const found = await findKnownHost(query, { HOME: home })
    expect(found.trusted).toEqual([
      { key: keys.ed25519, file: first, line: 1 },
      { key: keys.ecdsa, file: second, line: 2 },
    ])
    expect((await findKnownHost(query, { HOME: folder })).trusted).toEqual([])
  })
})
