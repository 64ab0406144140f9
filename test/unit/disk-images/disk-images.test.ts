import { execFile, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pack } from 'tar-stream'
import { buffer, text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { locateCache } from '../../../src/disk-images/cache-folder.ts'
import { openDiskImages } from '../../../src/disk-images/disk-images.ts'
import { readTar } from '../../../src/operations/copy/archive/read-tar.ts'
import type { Catalogue } from '../../../src/disk-images/named-images.ts'
import { UserError } from '../../../src/errors.ts'
import { makeCertificates } from '../../support/certificates.ts'

/** Returns the header of a qcow2 image with a disk of 1 GiB, modified by `change`. */
function qcow2(change: (header: Buffer) => void = () => {}): Buffer {
  const header = Buffer.alloc(2 ** 16)
  header.write('QFI\u{fb}', 'latin1')
  header.writeUInt32BE(3, 4)
  header.writeUInt32BE(16, 20)
  header.writeBigUInt64BE(2n ** 30n, 24)
  header.writeUInt32BE(104, 100)
  change(header)
  return header
}

const descriptor = `# Disk DescriptorFile
version=1
CID=fffffffe
parentCID=ffffffff
createType="monolithicSparse"

# Extent description
RW 2097152 SPARSE "disk.vmdk"

ddb.adapterType = "ide"
`

/** Returns a VMDK of 1 GiB with an embedded descriptor. */
function vmdk(text = descriptor, sectors = 2_097_152n): Buffer {
  const header = Buffer.alloc(512 * 21)
  header.write('KDMV', 'latin1')
  header.writeUInt32LE(1, 4)
  header.writeBigUInt64LE(sectors, 12)
  header.writeBigUInt64LE(1n, 28)
  header.writeBigUInt64LE(20n, 36)
  header.write(text, 512)
  return header
}

/** Returns the header of a VDI of 1 GiB, modified by `change`. */
function vdi(change: (header: Buffer) => void = () => {}): Buffer {
  const header = Buffer.alloc(1024)
  header.writeUInt32LE(0xbeda107f, 0x40)
  header.writeUInt32LE(0x00010001, 0x44)
  header.writeUInt32LE(1, 0x4c)
  header.writeBigUInt64LE(2n ** 30n, 0x170)
  change(header)
  return header
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const sha512 = (bytes: Uint8Array): string => createHash('sha512').update(bytes).digest('hex')

const fetching = fileURLToPath(new URL('../../support/files/fetching-image.ts', import.meta.url))
const runner = join(import.meta.dirname, '../../../scripts/run-ts.mjs')

let folder: string
let server: Server
let site: string
/** Image that the site serves. */
let image: Buffer
let published: Buffer
let asked: (string | undefined)[]
/** Number of bytes of the next response after which the connection is closed. */
let breakAt: number | undefined
/** Number of bytes of the next response after which the site stalls. */
let stopAt: number | undefined

/** Waits until this many bytes of the image are written to the partial file. */
const untilKept = (bytes: number): Promise<void> =>
  vi.waitFor(
    async () => {
      const images = join(folder, 'images')
      const names = (await readdir(images)).filter((name) => name.endsWith('.part'))
      const [kept] = await Promise.all(names.map((name) => stat(join(images, name))))
      expect(kept?.size).toBeGreaterThanOrEqual(bytes)
    },
    { timeout: 120_000 },
  )

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-images-'))
  image = Buffer.concat([qcow2(), randomBytes(3_000_000)])
  published = image
  asked = []
  breakAt = undefined
  stopAt = undefined
  server = createServer((request, response) => {
    if (request.url === '/SUMS') {
      response.end(`${'0'.repeat(128)}  other.qcow2\n${sha512(published)}  disk.qcow2\n`)
      return
    }
    if (request.url === '/moved.qcow2') {
      response.writeHead(302, { location: '/disk.qcow2' }).end()
      return
    }
    asked.push(request.headers.range)
    const [, from = '0'] = /^bytes=(\d+)-$/.exec(request.headers.range ?? '') ?? []
    const rest = image.subarray(Number(from))
    const etag = `"${sha256(image).slice(0, 8)}"`
    const isPart = request.headers.range !== undefined && request.headers['if-range'] === etag
    const body = isPart ? rest : image
    response.writeHead(isPart ? 206 : 200, {
      etag,
      'content-length': body.length,
      ...(isPart && { 'content-range': `bytes ${from}-${image.length - 1}/${image.length}` }),
    })
    if (stopAt !== undefined) {
      response.write(body.subarray(0, stopAt))
      stopAt = undefined
    } else if (breakAt === undefined) response.end(body)
    else {
      response.write(body.subarray(0, breakAt))
      void untilKept(Number(from) + breakAt).then(() => response.destroy())
      breakAt = undefined
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  site = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(async () => {
  server.closeAllConnections()
  server.close()
  await rm(folder, { recursive: true })
})

const catalogue = (): Catalogue => ({
  'debian-13': () => ({
    url: `${site}/disk.qcow2`,
    checksums: { url: `${site}/SUMS`, algorithm: 'sha512' },
  }),
})

const steps: string[] = []
const call = () => ({
  signal: new AbortController().signal,
  progress: (step: string) => steps.push(step),
})

const resolve = (text: string) =>
  openDiskImages(folder, readTar, catalogue()).resolve(text, { arch: 'amd64', folder }, call())

/** Resolves an image with a maximum size of 4 MB. */
const resolveSmall = (text: string) =>
  openDiskImages(folder, readTar, catalogue(), { maxBytes: 4_000_000 }).resolve(
    text,
    { arch: 'amd64', folder },
    call(),
  )

describe('an image by name', () => {
  test('is downloaded, verified, and found in the cache the next time', async () => {
    const disk = await resolve('debian-13')
    expect(disk).toMatchObject({ format: 'qcow2', digest: `sha512:${sha512(image)}` })
    expect((await readFile(disk.path)).equals(image)).toBe(true)
    expect(await resolve('debian-13')).toEqual(disk)
    expect(asked).toHaveLength(1)
  })

  test('is resumed where the connection broke', async () => {
    breakAt = 1_000_000
    const disk = await resolve('debian-13')
    expect((await readFile(disk.path)).equals(image)).toBe(true)
    expect(asked).toHaveLength(2)
    expect(asked[1]).toMatch(/^bytes=[1-9]\d*-$/)
  })

  test('is downloaded once for several callers at the same time', async () => {
    const disks = await Promise.all(Array.from({ length: 5 }, () => resolve('debian-13')))
    expect(new Set(disks.map(({ path }) => path)).size).toBe(1)
    expect(asked).toHaveLength(1)
  })

  test('is downloaded once for several processes, and resumed by another when the first is killed', async () => {
    const url = `${site}/disk.qcow2#sha256=${sha256(image)}`
    const start = () => {
      const words = [runner, fetching, folder, url]
      return spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] })
    }
    stopAt = 1_000_000
    const first = start()
    await untilKept(1_000_000)
    const others = [start(), start()]
    const outputs = others.map(({ stdout }) => text(stdout))
    first.kill('SIGKILL')
    const [path = '', path2] = await Promise.all(outputs)
    expect(path2).toBe(path)
    expect((await readFile(path.trim())).equals(image)).toBe(true)
    expect(asked).toEqual([undefined, expect.stringMatching(/^bytes=[1-9]\d*-$/)])
  })

  test('is downloaded again if the cached file is damaged', async () => {
    const { path } = await resolve('debian-13')
    await writeFile(path, Buffer.alloc(image.length))
    expect((await readFile((await resolve('debian-13')).path)).equals(image)).toBe(true)
    expect(steps).toContain('download the image again, because the cached copy is damaged')
  })

  test('is used without the network once it is cached, but not before', async () => {
    const disk = await resolve('debian-13')
    server.close()
    server.closeAllConnections()
    expect(await resolve('debian-13')).toEqual(disk)
    await openDiskImages(folder, readTar).remove(
      (await openDiskImages(folder, readTar).list()).map(({ key }) => key)[0] ?? '',
    )
    expect(await openDiskImages(folder, readTar).list()).toEqual([])
    await expect(resolve('debian-13')).rejects.toMatchObject({ kind: 'unreachable' })
  })

  test('is refused if its checksum differs from the published one', async () => {
    published = randomBytes(10)
    await expect(resolve('debian-13')).rejects.toMatchObject({ kind: 'failed' })
    expect(await openDiskImages(folder, readTar).list()).toEqual([])
  })

  test('with an unknown name is refused, suggesting the nearest name', async () => {
    await expect(resolve('debain-13')).rejects.toMatchObject({ hint: 'did you mean debian-13?' })
  })
})

describe('an image from a URL or file', () => {
  test('is downloaded from a URL that redirects, and verified against its checksum', async () => {
    const url = `${site}/moved.qcow2`
    expect((await resolve(`${url}#sha256=${sha256(image)}`)).digest).toBe(`sha256:${sha256(image)}`)
    await expect(resolve(`${url}#sha256=${'0'.repeat(64)}`)).rejects.toMatchObject({
      kind: 'failed',
    })
    await expect(resolve(`${url}#md5=1`)).rejects.toMatchObject({ kind: 'usage' })
  })

  test('has its format detected from its contents', async () => {
    const files: [string, Buffer, string][] = [
      ['a.img', image, 'qcow2'],
      ['b.qcow2', Buffer.alloc(1000), 'raw'],
      ['c.bin', vmdk(), 'vmdk'],
      ['d.bin', vdi(), 'vdi'],
    ]
    for (const [name, content, format] of files) {
      await writeFile(join(folder, name), content)
      expect((await resolve(`./${name}`)).format).toBe(format)
    }
    await writeFile(join(folder, 'e.raw'), Buffer.from([0x1f, 0x8b, 8]))
    await expect(resolve('e.raw')).rejects.toMatchObject({ kind: 'usage' })
    await expect(resolve('./nothing.raw')).rejects.toMatchObject({ kind: 'usage' })
  })

  test('is extracted from an OVA', async () => {
    const archive = pack()
    archive.entry({ name: 'box.ovf' }, '<Envelope/>')
    archive.entry({ name: 'box-disk1.vmdk' }, vmdk())
    archive.finalize()
    await writeFile(join(folder, 'box.ova'), await buffer(archive))
    const disk = await resolve('box.ova')
    expect(disk.format).toBe('vmdk')
    expect((await readFile(disk.path)).equals(vmdk())).toBe(true)
    expect((await resolve('box.ova')).path).toBe(disk.path)
    const images = openDiskImages(folder, readTar)
    const [inside, ...others] = await images.list()
    expect([inside?.label, others]).toEqual(['disk of box.ova', []])
    await images.remove(inside?.key ?? '')
    await expect(readFile(disk.path)).rejects.toThrow('ENOENT')
  })
})

describe('an encrypted image', () => {
  test.each([
    ['qcow2', qcow2((header) => void header.writeUInt32BE(2, 32)), 'encrypt.key-secret=key'],
    ['luks', Buffer.from('LUKS\u{ba}\u{be}'.padEnd(1024, '\0'), 'latin1'), 'key-secret=key'],
  ])('is refused, with the command that decrypts it: %s', async (format, content, option) => {
    await writeFile(join(folder, 'locked.img'), content)
    await expect(resolve('./locked.img')).rejects.toMatchObject({
      kind: 'usage',
      message: expect.stringMatching(/is encrypted$/) as string,
      hint: expect.stringContaining(
        `--image-opts driver=${format},${option},file.filename=`,
      ) as string,
    })
  })
})

describe('an untrusted image', () => {
  test.each<[string, Buffer, RegExp]>([
    [
      'qcow2 with a backing file',
      qcow2((header) => void header.writeBigUInt64BE(112n, 8)),
      /backing file/,
    ],
    [
      'qcow2 with the flag of an external data file',
      qcow2((header) => void header.writeBigUInt64BE(4n, 72)),
      /external data file/,
    ],
    [
      'qcow2 with the name of an external data file',
      qcow2((header) => {
        header.writeUInt32BE(0x6803f857, 104)
        header.writeUInt32BE(5, 108)
        header.writeUInt32BE(0x44415441, 120)
        header.writeUInt32BE(8, 124)
      }),
      /has an external data file/,
    ],
    ['a VMDK descriptor whose disk is another file', Buffer.from(descriptor), /in other files/],
    [
      'VMDK with a second extent in another file',
      vmdk(`${descriptor}RW 100 FLAT "/etc/shadow" 0\n`),
      /other files/,
    ],
    ['VMDK with a flat extent', vmdk(descriptor.replace('SPARSE', 'FLAT')), /other files/],
    ['VMDK with two types', vmdk(`${descriptor}createType = "monolithicFlat"\n`), /other files/],
    [
      'VMDK with the ID of a parent',
      vmdk(descriptor.replace('CID=ffffffff', 'CID = 12345678')),
      /other files/,
    ],
    [
      'VMDK with the file name of a parent',
      vmdk(`${descriptor}parentFileNameHint="/x"\n`),
      /other files/,
    ],
    ['VMDK with a size of zero', vmdk(descriptor, 0n), /damaged/],
    [
      'VDI of the differencing type',
      vdi((header) => void header.writeUInt32LE(4, 0x4c)),
      /differencing disk based on another file/,
    ],
    [
      'VDI with the ID of a parent',
      vdi((header) => void header.writeUInt8(1, 0x1a8)),
      /differencing disk based on another file/,
    ],
    [
      'an image with the signatures of two formats',
      vmdk().fill(Buffer.from([0x7f, 0x10, 0xda, 0xbe]), 0x40, 0x44),
      /several disk formats/,
    ],
  ])('is refused: %s', async (_what, content, message) => {
    await writeFile(join(folder, 'evil.img'), content)
    await expect(resolve('./evil.img')).rejects.toMatchObject({
      kind: 'usage',
      message: expect.stringMatching(message) as string,
    })
    const archive = pack()
    archive.entry({ name: 'evil.vmdk' }, content)
    archive.finalize()
    await writeFile(join(folder, 'evil.ova'), await buffer(archive))
    await expect(resolve('./evil.ova')).rejects.toThrow(message)
  })

  test.each<[string, (header: Buffer) => void]>([
    ['an L1 table of 32 GiB', (header) => void header.writeUInt32BE(0xffffffff, 36)],
    ['clusters of 2^63 bytes', (header) => void header.writeUInt32BE(63, 20)],
    ['a disk size of 2^63 bytes', (header) => void header.writeBigUInt64BE(2n ** 63n, 24)],
    [
      'an L1 table beyond the end of the file',
      (header) => void header.writeBigUInt64BE(2n ** 40n, 40),
    ],
    ['an unknown version', (header) => void header.writeUInt32BE(9, 4)],
  ])('is reported as damaged with %s', async (_what, change) => {
    await writeFile(join(folder, 'evil.img'), qcow2(change))
    await expect(resolve('./evil.img')).rejects.toThrow('is damaged')
  })

  test('is accepted or refused with a UserError for any bytes', async () => {
    const arbitrary = fc.asyncProperty(
      fc.constantFrom(qcow2(), vmdk(), vdi()),
      fc.array(fc.tuple(fc.nat(1000), fc.uint8Array({ minLength: 1, maxLength: 8 }))),
      async (content, changes) => {
        const changed = Buffer.from(content)
        for (const [at, bytes] of changes) changed.set(bytes, at)
        await writeFile(join(folder, 'any.img'), changed)
        const found = await resolve('./any.img').catch((error: unknown) => error)
        return !(found instanceof Error) || found instanceof UserError
      },
    )
    const { failed } = await fc.check(arbitrary, { numRuns: 200 })
    expect(failed).toBe(false)
  })

  test('in every subformat that qemu-img writes is accepted or refused as intended', async (context) => {
    const run = promisify(execFile)
    const make = (...words: string[]) => run('qemu-img', words, { cwd: folder })
    if (
      await make('--version').then(
        () => false,
        () => true,
      )
    )
      return context.skip()
    await make('create', '-f', 'raw', 'secret', '1M')
    const right = [
      ['qcow2'],
      ['qcow2', '-o', 'compat=0.10'],
      ['qcow2', '-o', 'compression_type=zstd'],
      ['vmdk', '-o', 'subformat=monolithicSparse'],
      ['vmdk', '-o', 'subformat=streamOptimized'],
      ['vdi'],
      ['vdi', '-o', 'static=on'],
    ]
    for (const [format = '', ...options] of right) {
      await make('create', '-f', format, ...options, 'right.img', '10M')
      expect(await resolve('./right.img')).toMatchObject({ format, size: 10 * 2 ** 20 })
    }
    const wrong = [
      ['qcow2', '-b', 'secret', '-F', 'raw'],
      ['qcow2', '-o', 'data_file=secret,data_file_raw=on'],
      ['vmdk', '-o', 'subformat=monolithicFlat'],
      ['vmdk', '-o', 'subformat=twoGbMaxExtentSparse'],
      ['vpc', '-o', 'subformat=dynamic'],
      ['vhdx'],
      ['qed'],
    ]
    for (const [format = '', ...options] of wrong) {
      await make('create', '-f', format, ...options, 'wrong.img', '1M')
      await expect(resolve('./wrong.img')).rejects.toMatchObject({ kind: 'usage' })
    }
    return undefined
  })
})

describe('a download', () => {
  let other: Server
  let answer: (request: IncomingMessage, response: ServerResponse) => void
  let origin: string
  beforeEach(async () => {
    other = createServer((request, response) => answer(request, response))
    await new Promise<void>((listening) => other.listen(0, '127.0.0.1', listening))
    origin = `http://127.0.0.1:${(other.address() as AddressInfo).port}`
  })
  afterEach(() => {
    other.closeAllConnections()
    other.close()
  })

  const checked = (): string => `${origin}/disk.qcow2#sha256=${sha256(image)}`
  test.each(['http', 'HTTP'])('over %s requires a checksum', async (scheme) => {
    await expect(resolve(`${scheme}://127.0.0.1:1/disk.qcow2`)).rejects.toMatchObject({
      kind: 'usage',
      hint: expect.stringContaining('#sha256=') as string,
    })
  })

  test('does not follow a redirect from HTTPS to any other scheme', async () => {
    const { key, cert, caFile } = await makeCertificates(folder, ['localhost'])
    let leads = ''
    const secure = createSecureServer({ key, cert }, (_, response) => {
      response.writeHead(302, { location: leads }).end()
    })
    await new Promise<void>((listening) => secure.listen(0, '127.0.0.1', listening))
    const { port } = secure.address() as AddressInfo
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: caFile }
    try {
      for (leads of [`${site}/disk.qcow2`, 'file:///etc/passwd', 'http:', 'ftp://x/y', '//[']) {
        const url = `https://localhost:${port}/x#sha256=${sha256(image)}`
        const run = promisify(execFile)(process.execPath, [runner, fetching, folder, url], { env })
        await expect(run).rejects.toThrow(
          /the redirect from .* to .* was refused: the target is not an HTTPS URL/,
        )
      }
    } finally {
      secure.close()
    }
    expect(asked).toEqual([])
  })

  test('that does not end is aborted once it exceeds the maximum size', async () => {
    answer = (_, response) => {
      const more = (): void => {
        if (!response.destroyed) response.write(Buffer.alloc(2 ** 16), () => setImmediate(more))
      }
      more()
    }
    await expect(resolveSmall(checked())).rejects.toThrow('is larger than 4 MB')
    expect(await readdir(join(folder, 'images'))).not.toContainEqual(expect.stringMatching(/part$/))
  })

  test('with a Content-Length above the maximum size is not started', async () => {
    answer = (_, response) => {
      response.writeHead(200, { 'content-length': 2 ** 50 }).write('x')
    }
    await expect(resolveSmall(checked())).rejects.toThrow('is larger than 4 MB')
  })

  test.each([206, 416])('of the whole file is refused if the status is %i', async (code) => {
    let times = 0
    answer = (_, response) => {
      times++
      response.writeHead(code, { 'content-range': 'bytes 5-9/10' }).end('12345')
    }
    await expect(resolve(checked())).rejects.toThrow('that was not requested')
    expect(times).toBe(1)
  })

  test('starts over if the server does not resume at the requested offset', async () => {
    let times = 0
    answer = (request, response) => {
      times++
      if (times === 1) {
        response.writeHead(200, { etag: '"1"', 'content-length': image.length })
        response.write(image.subarray(0, 1000))
        void untilKept(1000).then(() => response.destroy())
      } else if (request.headers.range === undefined) response.end(image)
      else response.writeHead(206, { 'content-range': 'bytes 7-' }).end(image.subarray(7))
    }
    const disk = await resolve(checked())
    expect((await readFile(disk.path)).equals(image)).toBe(true)
    expect(times).toBe(3)
  })

  test('is aborted if the list of checksums does not end', async () => {
    answer = (_, response) => {
      const more = (): void => {
        if (!response.destroyed) response.write(' '.repeat(2 ** 16), () => setImmediate(more))
      }
      more()
    }
    const endless: Catalogue = {
      'debian-13': () => ({
        url: `${site}/disk.qcow2`,
        checksums: { url: `${origin}/SUMS`, algorithm: 'sha512' },
      }),
    }
    const disk = openDiskImages(folder, readTar, endless).resolve(
      'debian-13',
      { arch: 'amd64', folder },
      call(),
    )
    await expect(disk).rejects.toMatchObject({ kind: 'unreachable' })
  })
})

test('the image cache is in the cache directory of the platform', () => {
  expect(locateCache({ FLEET_CACHE: '/c' })).toBe('/c')
  expect(locateCache({ XDG_CACHE_HOME: '/x', HOME: '/h' }, 'linux')).toBe('/x/fleet')
  expect(locateCache({ XDG_CACHE_HOME: 'x', HOME: '/h' }, 'linux')).toBe('/h/.cache/fleet')
  expect(locateCache({ HOME: '/h' }, 'darwin')).toBe('/h/Library/Caches/fleet')
})
