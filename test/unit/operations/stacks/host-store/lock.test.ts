import { once } from 'node:events'
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, readdir, readlink, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { lockStack } from '../../../../../src/operations/stacks/host-store/lock.ts'
import { openLocal } from '../../../../../src/transport/local/local.ts'

const host = { name: 'web-1', transport: openLocal(process.env) }
const owner = { by: 'ana@laptop', at: '2026-01-02T03:04:05Z', why: 'deploy shop' }
let folder: string
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'lock-')), 'shop')
})
afterEach(() => rm(join(folder, '..'), { recursive: true, force: true }))
const source = (path: string) => new URL(`../../../../../${path}`, import.meta.url).href

/** Resolves to the IDs of the processes with this working directory. */
async function processesIn(place: string): Promise<number[]> {
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 0)
  const places = await Promise.all(pids.map((pid) => readlink(`/proc/${pid}/cwd`).catch(() => '')))
  return pids.filter((_pid, index) => places[index] === place)
}

const lock = () => lockStack(host, { stack: 'shop', folder, owner })

describe('the lock of a stack', () => {
  test('names its owner to others, and is free once it is released', async () => {
    const first = await lock()
    expect(JSON.parse(await readFile(join(folder, 'lock.json'), 'utf8'))).toEqual(owner)
    await expect(lock()).rejects.toMatchObject({
      kind: 'locked',
      message:
        'stack shop is locked: ana@laptop has been changing it since 2026-01-02T03:04:05Z (deploy shop)',
    })
    await first[Symbol.asyncDispose]()
    await using second = await lock()
    expect(second.signal.aborted).toBe(false)
  })

  test('is released when the process of its owner dies', async () => {
    const script = `
      const { lockStack } = await import(process.argv[1])
      const { openLocal } = await import(process.argv[2])
      await lockStack({ name: 'web-1', transport: openLocal(process.env) }, ${JSON.stringify({ stack: 'shop', folder, owner })})
      console.log('locked')`
    const child = spawn(process.execPath, [
      ...[
        '--import',
        `data:text/javascript,import{register}from'node:module';register(${JSON.stringify(source('scripts/typescript-hook.mjs'))})`,
      ],
      ...['--input-type=module', '-e', script],
      source('src/operations/stacks/host-store/lock.ts'),
      source('src/transport/local/local.ts'),
    ])
    await once(child.stdout, 'data')
    await expect(lock()).rejects.toMatchObject({ kind: 'locked' })
    child.kill('SIGKILL')
    await once(child, 'close')
    await expect
      .poll(() => lock().then((held) => held[Symbol.asyncDispose](), String))
      .toBeUndefined()
  })

  test('removes temporary files that killed owners left', async () => {
    const names = ['.incoming-1', 'releases/.3', 'releases/3', 'objects/.ab', 'objects/ab', 'root']
    for (const name of names) await mkdir(join(folder, name), { recursive: true })
    await (await lock())[Symbol.asyncDispose]()
    const left = await Promise.all(
      [folder, join(folder, 'releases'), join(folder, 'objects')].map((place) => readdir(place)),
    )
    expect(left.flat().toSorted()).toEqual(['3', 'ab', 'lock', 'objects', 'releases', 'root'])
  })

  test('reports why it cannot be acquired', async () => {
    await expect(
      lockStack(host, { stack: 'shop', folder: '/dev/null/x', owner }),
    ).rejects.toMatchObject({
      kind: 'failed',
      message: /cannot lock stack shop on web-1: .*(not|Not) a directory/,
    })
  })

  test('aborts its signal when it is lost', async () => {
    const held = await lock()
    for (const pid of await processesIn(folder)) process.kill(pid, 'SIGKILL')
    if (!held.signal.aborted) await once(held.signal, 'abort')
    expect(held.signal.reason).toMatchObject({ kind: 'unreachable' })
  })
})
