import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { type Server, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pack } from 'tar-stream'
import { buffer, text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { locateCache } from '../../src/disk-images/cache-folder.ts'
import { openDiskImages } from '../../src/disk-images/disk-images.ts'
import type { Catalogue } from '../../src/disk-images/named-images.ts'

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const sha512 = (bytes: Uint8Array): string => createHash('sha512').update(bytes).digest('hex')

const fetching = fileURLToPath(new URL('../support/fetching-image.ts', import.meta.url))
const runner = join(import.meta.dirname, '../../scripts/run-ts.mjs')

let folder: string
let server: Server
let site: string
/** What the site has, and what was asked of it. */
let image: Buffer
let published: Buffer
let asked: (string | undefined)[]
/** After how many bytes the next answer breaks off. */
let breakAt: number | undefined
/** After how many bytes the next answer says no more. */
let stopAt: number | undefined

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-images-'))
  image = Buffer.concat([Buffer.from('QFI\u{fb}', 'latin1'), randomBytes(3_000_000)])
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
    response.writeHead(isPart ? 206 : 200, { etag, 'content-length': body.length })
    if (stopAt !== undefined) {
      response.write(body.subarray(0, stopAt))
      stopAt = undefined
    } else if (breakAt === undefined) response.end(body)
    else {
      response.write(body.subarray(0, breakAt), () => setTimeout(() => response.destroy(), 50))
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
  openDiskImages(folder, catalogue()).resolve(text, { arch: 'amd64', folder }, call())

describe('an image by name', () => {
  test('is downloaded, checked, and there the next time', async () => {
    const disk = await resolve('debian-13')
    expect(disk).toMatchObject({ format: 'qcow2', digest: `sha512:${sha512(image)}` })
    expect((await readFile(disk.path)).equals(image)).toBe(true)
    expect(await resolve('debian-13')).toEqual(disk)
    expect(asked).toHaveLength(1)
  })

  test('is taken up where the connection broke', async () => {
    breakAt = 1_000_000
    const disk = await resolve('debian-13')
    expect((await readFile(disk.path)).equals(image)).toBe(true)
    expect(asked).toHaveLength(2)
    expect(asked[1]).toMatch(/^bytes=[1-9]\d*-$/)
  })

  test('is downloaded once for many at the same time', async () => {
    const disks = await Promise.all(Array.from({ length: 5 }, () => resolve('debian-13')))
    expect(new Set(disks.map(({ path }) => path)).size).toBe(1)
    expect(asked).toHaveLength(1)
  })

  test('is downloaded once for many processes, and gone on with when the first is killed', async () => {
    const url = `${site}/disk.qcow2#sha256=${sha256(image)}`
    const start = () => {
      const words = [runner, fetching, folder, url]
      return spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] })
    }
    stopAt = 1_000_000
    const first = start()
    await vi.waitFor(
      async () => {
        const names = (await readdir(join(folder, 'images'))).filter((one) => one.endsWith('.part'))
        const [size] = await Promise.all(names.map((one) => stat(join(folder, 'images', one))))
        expect(size?.size).toBeGreaterThan(500_000)
      },
      { timeout: 20_000 },
    )
    const others = [start(), start()]
    const told = others.map(({ stdout }) => text(stdout))
    first.kill('SIGKILL')
    const [path = '', path2] = await Promise.all(told)
    expect(path2).toBe(path)
    expect((await readFile(path.trim())).equals(image)).toBe(true)
    expect(asked).toEqual([undefined, expect.stringMatching(/^bytes=[1-9]\d*-$/)])
  })

  test('is replaced where its file was damaged', async () => {
    const { path } = await resolve('debian-13')
    await writeFile(path, Buffer.alloc(image.length))
    expect((await readFile((await resolve('debian-13')).path)).equals(image)).toBe(true)
    expect(steps).toContain('the image in the cache is damaged: download it again')
  })

  test('is used without the network once it is here, and not without', async () => {
    const disk = await resolve('debian-13')
    server.close()
    server.closeAllConnections()
    expect(await resolve('debian-13')).toEqual(disk)
    await openDiskImages(folder).remove(
      (await openDiskImages(folder).list()).map(({ key }) => key)[0] ?? '',
    )
    expect(await openDiskImages(folder).list()).toEqual([])
    await expect(resolve('debian-13')).rejects.toMatchObject({ kind: 'unreachable' })
  })

  test('is refused where it is not what was published', async () => {
    published = randomBytes(10)
    await expect(resolve('debian-13')).rejects.toMatchObject({ kind: 'failed' })
    expect(await openDiskImages(folder).list()).toEqual([])
  })

  test('of another name is refused with the nearest', async () => {
    await expect(resolve('debain-13')).rejects.toMatchObject({ hint: 'did you mean debian-13?' })
  })
})

describe("a person's own image", () => {
  test('is taken from a URL that leads elsewhere, and held to its checksum', async () => {
    const url = `${site}/moved.qcow2`
    expect((await resolve(`${url}#sha256=${sha256(image)}`)).digest).toBe(`sha256:${sha256(image)}`)
    await expect(resolve(`${url}#sha256=${'0'.repeat(64)}`)).rejects.toMatchObject({
      kind: 'failed',
    })
    await expect(resolve(`${url}#md5=1`)).rejects.toMatchObject({ kind: 'usage' })
  })

  test('is known by what it holds', async () => {
    const files: [string, Buffer, string][] = [
      ['a.img', image, 'qcow2'],
      ['b.qcow2', Buffer.alloc(1000), 'raw'],
      ['c.bin', Buffer.from('KDMV....'), 'vmdk'],
    ]
    for (const [name, content, format] of files) {
      await writeFile(join(folder, name), content)
      expect((await resolve(`./${name}`)).format).toBe(format)
    }
    await writeFile(join(folder, 'd.raw'), Buffer.from([0x1f, 0x8b, 8]))
    await expect(resolve('d.raw')).rejects.toMatchObject({ kind: 'usage' })
    await expect(resolve('./nothing.raw')).rejects.toMatchObject({ kind: 'usage' })
  })

  test('is taken out of an OVA', async () => {
    const archive = pack()
    archive.entry({ name: 'box.ovf' }, '<Envelope/>')
    archive.entry({ name: 'box-disk1.vmdk' }, 'KDMV and so on')
    archive.finalize()
    await writeFile(join(folder, 'box.ova'), await buffer(archive))
    const disk = await resolve('box.ova')
    expect(disk.format).toBe('vmdk')
    expect(await readFile(disk.path, 'utf8')).toBe('KDMV and so on')
    expect((await resolve('box.ova')).path).toBe(disk.path)
    const images = openDiskImages(folder)
    const [inside, ...others] = await images.list()
    expect([inside?.label, others]).toEqual(['disk of box.ova', []])
    await images.remove(inside?.key ?? '')
    await expect(readFile(disk.path)).rejects.toThrow('ENOENT')
  })
})

test('the cache is where the platform has such things', () => {
  expect(locateCache({ FLEET_CACHE: '/c' })).toBe('/c')
  expect(locateCache({ XDG_CACHE_HOME: '/x', HOME: '/h' }, 'linux')).toBe('/x/fleet')
  expect(locateCache({ XDG_CACHE_HOME: 'x', HOME: '/h' }, 'linux')).toBe('/h/.cache/fleet')
  expect(locateCache({ HOME: '/h' }, 'darwin')).toBe('/h/Library/Caches/fleet')
})
