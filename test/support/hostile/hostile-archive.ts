import * as fc from 'fast-check'

const block = 512
const pad = (content: Buffer): Buffer =>
  Buffer.concat([content, Buffer.alloc((block - (content.length % block)) % block)])

/** Returns a tar header with arbitrary fields. `size` is a number, or the raw bytes of the field. */
export function rawHeader({
  name = '',
  type = '0',
  size = 0,
  mode = 0o644,
  linkname = '',
  prefix = '',
  magic = 'ustar\u000000',
}: {
  name?: string
  type?: string
  size?: number | Buffer
  mode?: number
  linkname?: string
  prefix?: string
  magic?: string
}): Buffer {
  const header = Buffer.alloc(block)
  header.write(name, 0, 100, 'latin1')
  header.write(mode.toString(8).padStart(7, '0'), 100)
  header.write('0000000', 108)
  header.write('0000000', 116)
  if (typeof size === 'number') header.write(size.toString(8).padStart(11, '0'), 124)
  else size.copy(header, 124, 0, 12)
  header.write('00000000001', 136)
  header.write(' '.repeat(8), 148)
  header.write(type, 156, 1, 'latin1')
  header.write(linkname, 157, 100, 'latin1')
  header.write(magic, 257, 8, 'latin1')
  header.write(prefix, 345, 155, 'latin1')
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return header
}

/** Returns an extension record: of pax (`x`, `g`), or of GNU long names (`L`, `K`). */
export const extension = (type: string, content: string | Buffer): Buffer => {
  const bytes = Buffer.from(content)
  return Buffer.concat([rawHeader({ name: 'ext', type, size: bytes.length }), pad(bytes)])
}

/** Returns pax records with their lengths. */
export function paxRecords(records: Readonly<Record<string, string>>): string {
  return Object.entries(records)
    .map(([key, value]) => {
      const rest = Buffer.byteLength(` ${key}=${value}\n`)
      let length = rest + String(rest).length
      if (String(length).length > String(rest).length) length = rest + String(length).length
      return `${length} ${key}=${value}\n`
    })
    .join('')
}

export const endOfArchive = Buffer.alloc(2 * block)

/** Returns an archive entry with its content. */
export const entry = (facts: Parameters<typeof rawHeader>[0], content = ''): Buffer =>
  Buffer.concat([
    rawHeader({ ...facts, size: facts.size ?? Buffer.byteLength(content) }),
    pad(Buffer.from(content)),
  ])

const negative = Buffer.alloc(12, 0xff)
const huge = Buffer.from([0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])

/**
 * Returns archives that an attacker may send instead of an archive of `root`: names and links that point to `outside`
 * (a directory next to the target) or elsewhere, entries of the same name with different types, and invalid bytes.
 */
export function hostileArchives(root: string, outside: string): fc.Arbitrary<Buffer> {
  const names = fc.constantFrom(
    ...[
      '',
      '/a',
      '/a/b',
      '/link',
      '/link/x',
      '/link/kept',
      '/a/link/x',
      '/../x',
      '/./a',
      '//a',
    ].map((rest) => `./${root}${rest}`),
    ...[root, `${root}/`, `${root}/a/`, '.', './', '..', '../x', '/', '', `${root}x`, 'other'],
    ...[`../${outside}/kept`, `/${outside}/kept`, `${root}/../../${outside}/kept`],
    ...['new\nline', '\u001b[31m', 'a\0b', '\xe9', 'con', 'c:x', 'a\\..\\b'].map(
      (name) => `${root}/${name}`,
    ),
    `${root}/${'long'.repeat(24)}`,
    `${root}/${'deep/'.repeat(20)}x`,
  )
  const links = fc.constantFrom(
    ...[`../${outside}`, `../${outside}/kept`, `../../${outside}`, '..', '/', '/etc', '.', 'a', ''],
    ...[`${root}/a`, `${root}/link`, `./${root}/link/kept`, `./${root}/a/b`, root, 'link'],
  )
  const types = fc.constantFrom('0', '\0', '1', '2', '2', '3', '4', '5', '5', '6', '7', 'S', 'Z')
  const modes = fc.constantFrom(0o644, 0o777, 0o4755, 0o2755, 0o1777, 0o000, 0o7777)
  const plain = fc
    .record({ name: names, type: types, linkname: links, mode: modes, content: fc.boolean() })
    .map(({ content, ...facts }) => entry(facts, content ? 'hostile' : ''))
  const near = fc
    .record({
      name: fc
        .constantFrom('a', 'a/b', 'b', 'c', 'link', 'link/kept', 'a/link')
        .map((name) => `./${root}/${name}`),
      type: fc.constantFrom('0', '0', '5', '5', '2', '1'),
      linkname: links,
      mode: modes,
    })
    .map((facts) => entry(facts, facts.type === '0' ? 'hostile' : ''))
  const sized = fc
    .record({
      name: names,
      size: fc.constantFrom<number | Buffer>(negative, huge, 1_000_000, 513, 0o77777777777),
    })
    .map((facts) => entry(facts, 'short'))
  const extended = fc
    .record({
      key: fc.constantFrom(
        'path',
        'linkpath',
        'size',
        'GNU.sparse.name',
        'GNU.sparse.major',
        'mtime',
      ),
      value: fc.oneof(names, links, fc.constantFrom('-1', '9'.repeat(30), '1e9', '0x10', '7')),
      type: fc.constantFrom('x', 'g', 'L', 'K'),
      raw: fc.boolean(),
    })
    .map(({ key, value, type, raw }) =>
      extension(type, 'xg'.includes(type) && !raw ? paxRecords({ [key]: value }) : `${value}\0`),
    )
  const noise = fc.uint8Array({ minLength: 1, maxLength: 1200 }).map((bytes) => Buffer.from(bytes))
  const linkThenFolder = fc.constant(
    Buffer.concat([
      entry({ name: `./${root}/link`, type: '2', linkname: `../${outside}` }),
      entry({ name: `./${root}/link`, type: '5', mode: 0o777 }),
      entry({ name: `./${root}/link/kept` }, 'hostile'),
    ]),
  )
  const part = fc.oneof(
    { weight: 16, arbitrary: near },
    { weight: 4, arbitrary: plain },
    { weight: 2, arbitrary: extended },
    { weight: 1, arbitrary: sized },
    { weight: 1, arbitrary: linkThenFolder },
    { weight: 1, arbitrary: noise },
    { weight: 1, arbitrary: fc.constant(endOfArchive) },
  )
  const folder = entry({ name: `./${root}`, type: '5', mode: 0o755 })
  const start = fc.constantFrom(
    ...Array<Buffer>(8).fill(folder),
    entry({ name: `./${root}`, type: '2', linkname: `../${outside}` }),
    entry({ name: `./${root}` }, 'content'),
    Buffer.alloc(0),
  )
  return fc
    .tuple(start, fc.array(part, { maxLength: 8 }), fc.boolean(), fc.nat(3))
    .map(([first, parts, ends, cut]) => {
      const whole = Buffer.concat([first, ...parts, ...(ends ? [endOfArchive] : [])])
      return cut === 0 ? whole.subarray(0, Math.floor(whole.length * 0.7)) : whole
    })
}
