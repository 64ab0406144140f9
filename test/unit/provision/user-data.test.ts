import { gunzipSync, gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import type { EngineSpec } from '../../../src/machine/engine-spec.ts'
import {
  type FirstBoot,
  packUserData,
  writeUserData,
} from '../../../src/provision/cloud-init/user-data.ts'
import { runProgram } from '../../support/lab/process.ts'

const boot: FirstBoot = {
  hostName: 'web-1',
  user: 'ana',
  authorizedKeys: ['ssh-ed25519 AAAA ana@laptop', 'ssh-ed25519 BBBB'],
  hostKey: { privateKey: '-----BEGIN\nKEY\n-----END\n', publicKey: 'ssh-ed25519 CCCC' },
  engine: {},
}
const own = (content: string | Uint8Array) => ({
  file: 'cloud-init/web.yaml',
  content: Buffer.from(content),
})

/** Parses a message with Python's email package, as cloud-init does, and resolves to its parts. */
async function partsOf(message: string) {
  const script = `import email, json, sys
message = email.message_from_string(sys.stdin.buffer.read().decode())
print(json.dumps([[part.get_content_type(), part.get_filename(), part.get('Merge-Type'),
  part.get_payload(decode=True).decode('utf-8', 'surrogateescape')]
  for part in message.walk() if not part.is_multipart()]))`
  const parts = JSON.parse(await runProgram(['python3', '-c', script], message)) as string[][]
  return parts.map(([type, name, merge, body = '']) => ({ type, name, merge, body }))
}

/** Parses a cloud-config in fleet's format: one key per line, with its value in JSON. */
const configOf = (body = ''): Record<string, unknown> =>
  Object.fromEntries(
    Array.from(body.matchAll(/^(\w+): (.*)$/gm), ([, key = '', value = '']) => [
      key,
      JSON.parse(value) as unknown,
    ]),
  )

describe('the user-data of a new host', () => {
  test('has the host key, the user and its keys, and disables root and password logins', async () => {
    const [additions, settings] = await partsOf(writeUserData(boot))
    expect(additions?.body).toMatch(/^#cloud-config\n/)
    expect(configOf(additions?.body)['users']).toEqual([
      {
        name: 'ana',
        groups: ['docker'],
        sudo: 'ALL=(ALL) NOPASSWD:ALL',
        lock_passwd: true,
        ssh_authorized_keys: boot.authorizedKeys,
      },
    ])
    expect(configOf(settings?.body)).toMatchObject({
      hostname: 'web-1',
      disable_root: true,
      ssh_pwauth: false,
      ssh_deletekeys: true,
      ssh_keys: {
        ed25519_private: boot.hostKey.privateKey,
        ed25519_public: boot.hostKey.publicKey,
      },
    })
  })

  test('installs no engine and creates no group if the engine is none', async () => {
    const text = writeUserData({ ...boot, engine: 'none' })
    expect(text).not.toContain('docker')
    expect(await partsOf(text)).toHaveLength(2)
  })

  test("runs the driver's commands on every boot", async () => {
    const [additions] = await partsOf(writeUserData({ ...boot, bootCommands: ['mount "it"'] }))
    expect(configOf(additions?.body)['bootcmd']).toContain('mount "it"')
  })

  test('refuses root as login user, because its login is disabled', () => {
    expect(() => writeUserData({ ...boot, user: 'root' })).toThrow(/login user cannot be root/)
  })

  test.each<[string, EngineSpec, string[]]>([
    ['the distribution', {}, ['install docker.io, iptables', 'moby-engine', 'apk --wait']],
    [
      'channel stable',
      { channel: 'stable' },
      ['signed-by=$key', 'task stable', '9DC858229FC7DD38'],
    ],
    ['channel test', { channel: 'test' }, ['task test']],
    ['a version', { version: '28.2' }, ['task 28.2 docker-ce', 'task stable']],
  ])('has a POSIX shell script that installs the engine from %s', async (_, engine, expected) => {
    const script = (await partsOf(writeUserData({ ...boot, engine }))).at(-1)
    expect(script).toMatchObject({ type: 'text/x-shellscript', name: '00-fleet-engine' })
    for (const text of expected) expect(script?.body).toContain(text)
    for (const shell of ['dash', 'bash'] as const) await runProgram([shell, '-n'], script?.body)
  })
})

describe('custom user-data', () => {
  test.each([
    ['a cloud-config', '#cloud-config\nruncmd: [a]\n'],
    ['a script', '#!/bin/sh\necho hi\n'],
    ['a list of URLs', '#include\nhttp://example.com/x\n'],
    ['a Jinja template', '## template: jinja\n#cloud-config\nruncmd: ["{{ v1.region }}"]\n'],
    ['a boothook', '#cloud-boothook\n#!/bin/sh\ntrue\n'],
    ['an archive', '#cloud-config-archive\n- "#!/bin/sh"\n'],
    ['a part handler', '#part-handler\ndef list_types(): return []\n'],
    ['a text with non-ASCII characters', '#cloud-config\nwrite_files: [{content: "Grüße €"}]\n'],
    ['a text that contains the MIME boundary', '#cloud-config\n# --fleet\n'],
    ['a text with CRLF line endings', '#cloud-config\r\nruncmd: [a]\r\n'],
  ])("that is %s precedes fleet's own parts, byte for byte", async (_, text) => {
    for (const content of [text, gzipSync(text)]) {
      const parts = await partsOf(writeUserData({ ...boot, own: own(content) }))
      expect(parts.map(({ type }) => type)).toEqual([
        'text/plain', // a type that makes cloud-init detect the actual one
        'text/cloud-config', // the default users
        'text/cloud-config',
        'text/cloud-config', // the user again
        'text/cloud-config',
        'text/x-shellscript',
      ])
      expect(parts[0]?.body).toBe(text)
    }
  })

  test.each([
    ['', ''],
    [' with the From line of a mailbox', 'From nobody Mon Jan  1 00:00:00 2024\n'],
  ])(
    'that is already a MIME message%s keeps its parts, their names and merge types',
    async (_, first) => {
      const message = `${first}Content-Type: multipart/mixed; boundary="x"
MIME-Version: 1.0

--x
Content-Type: text/cloud-config
Merge-Type: list(append)

#cloud-config
runcmd: [a]
--x
Content-Type: text/x-shellscript
Content-Disposition: attachment; filename="mine.sh"

#!/bin/sh
--x--
`
      for (const text of [message, message.replaceAll('\n', '\r\n')]) {
        const parts = await partsOf(writeUserData({ ...boot, own: own(text) }))
        expect(parts).toHaveLength(7)
        expect(parts[0]).toMatchObject({ type: 'text/cloud-config', merge: 'list(append)' })
        expect(parts[1]).toMatchObject({ type: 'text/x-shellscript', name: 'mine.sh' })
      }
    },
  )

  test.each([
    [
      'YAML without a first line #cloud-config',
      'users: []\n',
      /cloud-init\/web\.yaml is not user-data/,
    ],
    ['empty', '', /is not user-data/],
    ['truncated gzip data', Buffer.from([0x1f, 0x8b, 1, 2, 3]), /cannot be decompressed/],
  ])('that is %s is refused, naming the file', (_, content, message) => {
    expect(() => writeUserData({ ...boot, own: own(content) })).toThrow(message)
  })
})

describe("user-data with a provider's size limit", () => {
  const text = 'x'.repeat(1000)
  test('is unchanged if it fits', () => {
    expect(packUserData(text, { maxBytes: 1000, gzip: true }).toString()).toBe(text)
  })
  test('is compressed with gzip if it does not fit', () => {
    const packed = packUserData(text, { maxBytes: 999, gzip: true })
    expect(gunzipSync(packed).toString()).toBe(text)
  })
  test.each([
    [{ maxBytes: 999, gzip: false }, /1,000 bytes; the provider allows 999/],
    [
      { maxBytes: 10, gzip: true },
      /too large: 1,000 bytes \(\d+ bytes compressed\); the provider allows 10/,
    ],
  ])('is refused with its size if it is too large for %o', (limit, message) => {
    expect(() => packUserData(text, limit)).toThrow(message)
  })
})
