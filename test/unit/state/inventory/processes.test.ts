import { bundleProgram } from '../../../support/process/bundle-program.ts'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execPath } from 'node:process'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { parseMachineName } from '../../../../src/machine/name.ts'
import { openFileInventory } from '../../../../src/state/inventory/file-inventory.ts'
import { writeNewInventory } from '../../../../src/state/inventory/init-inventory.ts'

const loadOptions = async () => ({ optionsOf: () => undefined })
let folder = ''
let program = ''
let file = ''
const started: ChildProcess[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-processes-'))
  program = join(folder, 'writer.mjs')
  await bundleProgram(
    new URL('../../../support/inventory/inventory-writer.ts', import.meta.url),
    program,
  )
})
afterAll(async () => {
  for (const child of started) child.kill('SIGKILL')
  await rm(folder, { recursive: true })
})
beforeEach(async () => {
  const own = await mkdtemp(join(folder, 'case-'))
  file = join(own, 'machines.yaml')
  await writeFile(file, `${writeNewInventory('4f0c2f6e')}# the end\n`)
})

function start(...args: string[]): ChildProcess {
  const child = spawn(execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  started.push(child)
  return child
}

const store = (lockTimeout?: number) =>
  openFileInventory(file, { loadOptions, ...(lockTimeout === undefined ? {} : { lockTimeout }) })

describe('concurrent processes', () => {
  it('lose no changes when fifty write at the same time', async () => {
    const names = Array.from({ length: 50 }, (_, index) => `web-${index}`)
    const codes = await Promise.all(
      names.map(async (name) => {
        const [code] = (await once(start(file, name), 'exit')) as [number]
        return code
      }),
    )
    expect(new Set(codes)).toEqual(new Set([0]))
    const { machines } = await store().read()
    expect([...machines.keys()]).toEqual(names)
    expect([...machines.values()].every(({ name, labels }) => labels?.['by'] === name)).toBe(true)
    expect(await readFile(file, 'utf8')).toMatch(/# the end\n$/)
    expect(await readdir(join(file, '..'))).toEqual(['machines.yaml'])
  })

  it('leave a complete file, old or new, when killed at any moment', async () => {
    for (let round = 0; round < 20; round++) {
      const writer = start(file)
      if (writer.stdout) await once(writer.stdout, 'data')
      const pause = setTimeout(() => writer.kill('SIGKILL'), Math.random() * 30)
      await once(writer, 'exit')
      clearTimeout(pause)
      const { machines } = await store().read()
      expect(machines.size).toBeGreaterThan(0)
      expect(await readFile(file, 'utf8')).toMatch(/# the end\n$/)
      // Without this, the next writer would wait ten seconds for the dead process's lock to become stale.
      await rm(`${file}.lock`, { recursive: true, force: true })
    }
  })
})

describe('the lock of an inventory', () => {
  const name = parseMachineName('a')

  it('is taken over if its process died', async () => {
    await mkdir(`${file}.lock`)
    const past = new Date(Date.now() - 11_000)
    await utimes(`${file}.lock`, past, past)
    await store().update(name, () => ({ driver: 'ssh' }))
    expect((await store().read()).machines.has(name)).toBe(true)
    await expect(stat(`${file}.lock`)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('that another process keeps is reported with a remedy', async () => {
    await mkdir(`${file}.lock`)
    const before = await readFile(file, 'utf8')
    await expect(store(300).update(name, () => ({ driver: 'ssh' }))).rejects.toMatchObject({
      kind: 'locked',
      hint: expect.stringContaining(`remove the directory ${file}.lock`) as string,
    })
    expect(await readFile(file, 'utf8')).toBe(before)
  })

  it('does not lock out editors: what they save in between is not lost', async () => {
    let attempts = 0
    await store().update(name, (entry) => {
      attempts++
      if (attempts === 1) saveBesides()
      return { ...entry, driver: 'ssh' }
    })
    expect(attempts).toBe(2)
    expect([...(await store().read()).machines.keys()]).toEqual(['a', 'z'])
  })
})

/** Saves the file as the user's editor would, without the lock. */
function saveBesides(): void {
  const text = readFileSync(file, 'utf8')
  writeFileSync(file, text.replace('machines: {}', 'machines:\n  z:\n    driver: local\n'))
}
