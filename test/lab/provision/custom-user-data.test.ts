import { gzipSync } from 'node:zlib'
import { beforeAll, describe, expect, test } from 'vitest'
import { type FirstBoot, writeUserData } from '../../../src/provision/cloud-init/user-data.ts'
import { type Merged, mergeUserData } from '../../support/cloud-init/merge-user-data.ts'
import { labIsHere } from '../../support/lab/lab.ts'

const boot: FirstBoot = {
  hostName: 'web-1',
  user: 'ana',
  authorizedKeys: ['ssh-ed25519 AAAA ana@laptop'],
  hostKey: { privateKey: '-----BEGIN\nKEY\n-----END\n', publicKey: 'ssh-ed25519 CCCC' },
  engine: {},
}

const config = (lines: string): string => `#cloud-config\n${lines}\n`
const message = (...parts: (readonly [type: string, body: string])[]): string =>
  `MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="x"\n\n${parts
    .map(([type, body]) => `--x\nContent-Type: ${type}\n\n${body}\n`)
    .join('')}--x--\n`
const utf16 = (text: string): Buffer => Buffer.from(`\uFEFF${text}`, 'utf16le')
const bigEndian = (text: string): Buffer => utf16(text).swap16()

const list = config('users: [default, { name: bob, shell: /bin/sh }]\nruncmd: [own]')

/** User-data, and the users that it creates without fleet's part. */
const own: readonly (readonly [what: string, content: string | Uint8Array, users: string[]])[] = [
  ['no users', config('runcmd: [own]'), ['debian']],
  ['a list of users', list, ['debian', 'bob']],
  ['an empty list of users', config('users: []\nruncmd: [own]'), []],
  ['a list of user names', config('users: [bob, carl]\nruncmd: [own]'), ['bob', 'carl']],
  [
    'a block list of users',
    config('runcmd: [own]\nusers:\n- default\n- name: bob'),
    ['debian', 'bob'],
  ],
  [
    'a mapping of users',
    config('runcmd: [own]\nusers: { bob: { shell: /bin/sh }, default: true }'),
    ['bob', 'debian'],
  ],
  [
    'a block mapping of users',
    config('runcmd: [own]\nusers:\n  # those\n  bob: {}\n  carl: true'),
    ['bob', 'carl'],
  ],
  ['a string of users', config('runcmd: [own]\nusers: bob, default # both'), ['bob', 'debian']],
  ['a quoted string of users', config('"users": "bob,carl"\nruncmd: [own]'), ['bob', 'carl']],
  ['an empty users key', config('users:\nruncmd: [own]'), []],
  ['null as users', config('users: ~\nruncmd: [own]'), []],
  ['the deprecated user key', config('user: bob\nruncmd: [own]'), ['bob']],
  [
    'merge_how as a string',
    config("merge_how: 'dict(no_replace)+list(prepend)'\nusers: [bob]\nruncmd: [own]"),
    ['bob'],
  ],
  [
    'merge_how as a list',
    config(
      'merge_how: [{ name: dict, settings: [no_replace] }, { name: list, settings: [append] }]\nusers: [bob]\nruncmd: [own]',
    ),
    ['bob'],
  ],
  [
    'merge_type',
    config(
      'merge_type: dict(no_replace,recurse_dict)+list()+str(append)\nusers: { bob: {} }\nruncmd: [own]',
    ),
    ['bob'],
  ],
  [
    'allow_delete',
    config('merge_how: dict(replace,allow_delete)+list()\nruncmd: [own]'),
    ['debian'],
  ],
  ['CRLF line endings', list.replaceAll('\n', '\r\n'), ['debian', 'bob']],
  [
    'a Jinja template',
    `## template: jinja\n${config('users: [bob]\nruncmd: ["{% if true %}own{% endif %}"]')}`,
    ['bob'],
  ],
  [
    'a Jinja template of a mapping',
    `## template: jinja\n${config('users: { "{{ v1.region }}": {} }\nruncmd: [own]')}`,
    ['here'],
  ],
  [
    'a MIME message',
    message(['text/cloud-config', list], ['text/x-shellscript', '#!/bin/sh\ntrue']),
    ['debian', 'bob'],
  ],
  [
    'a MIME message whose parts are merged',
    message(
      ['text/cloud-config', list],
      ['text/cloud-config', config('merge_how: dict(recurse_list)+list(append)\nusers: [carl]')],
    ),
    ['debian', 'bob', 'carl'],
  ],
  [
    'a cloud-config archive',
    `#cloud-config-archive\n- type: text/cloud-config\n  content: |\n    users: { bob: {} }\n    runcmd: [own]\n`,
    ['bob'],
  ],
  [
    'a JSON patch',
    '#cloud-config-jsonp\n[{"op":"add","path":"/users","value":["bob"]},{"op":"add","path":"/runcmd","value":["own"]}]\n',
    ['bob'],
  ],
]

/** The same user-data with other encodings. */
const wrapped: typeof own = [
  ['a byte order mark', Buffer.from(`\uFEFF${list}`), ['debian', 'bob']],
  ['UTF-16 encoding', utf16(list), ['debian', 'bob']],
  ['big-endian UTF-16 encoding', bigEndian(list), ['debian', 'bob']],
  ['gzip compression', gzipSync(list), ['debian', 'bob']],
  [
    'gzip compression and a byte order mark',
    gzipSync(Buffer.from(`\uFEFF${list}`)),
    ['debian', 'bob'],
  ],
]

const script = '#!/bin/sh\ntrue\n'

/** User-data that mentions fleet's user. */
const same: typeof own = [
  [
    'a list',
    config('users: [{ name: ana, gecos: Ana, ssh_authorized_keys: [ssh-ed25519 BBBB] }]'),
    [],
  ],
  [
    'a mapping',
    config('users: { ana: { gecos: Ana, ssh_authorized_keys: [ssh-ed25519 BBBB] } }'),
    [],
  ],
  ['a string', config('users: ana'), []],
]

describe.skipIf(!labIsHere)("the user's own user-data, merged by cloud-init itself", () => {
  /** Results of merging each user-data with fleet's, keyed by content. */
  const joined = new Map<string | Uint8Array, Merged>()
  beforeAll(async () => {
    const contents = [...own, ...wrapped, ...same].map(([, content]) => content).concat(script)
    const texts = contents.map((content) =>
      writeUserData({ ...boot, own: { file: 'own.yaml', content: Buffer.from(content) } }),
    )
    const merged = await mergeUserData(texts)
    for (const [index, content] of contents.entries()) {
      joined.set(content, merged[index] as Merged)
    }
  })

  test.each([...own, ...wrapped])('with %s has its usual effect', (_what, content, names) => {
    const { users = {}, settings } = joined.get(content) ?? {}
    const { ana, ...others } = users
    expect(Object.keys(others).toSorted()).toEqual(names.toSorted())
    expect(ana).toMatchObject({
      ssh_authorized_keys: boot.authorizedKeys,
      sudo: 'ALL=(ALL) NOPASSWD:ALL',
      groups: ['docker'],
    })
    expect(settings).toMatchObject({ hostname: 'web-1', ssh_pwauth: false, runcmd: ['own'] })
    expect(settings?.['bootcmd']).toHaveLength(2)
  })

  test.each(same)("that names the user of fleet in %s keeps fleet's login", (_what, content) => {
    const { ana } = joined.get(content)?.users ?? {}
    expect(ana).toMatchObject({ sudo: 'ALL=(ALL) NOPASSWD:ALL' })
    expect(ana?.['ssh_authorized_keys']).toContain(boot.authorizedKeys[0])
  })

  test('that is a script runs after the engine is installed', () => {
    const { users = {}, scripts } = joined.get(script) ?? {}
    expect(scripts).toEqual(['00-fleet-engine', expect.stringMatching(/^part-/)])
    expect(Object.keys(users).toSorted()).toEqual(['ana', 'debian'])
  })
})
