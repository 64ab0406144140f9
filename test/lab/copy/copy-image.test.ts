import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Lab, type LabHost, labIsHere, startLab } from '../../support/lab/lab.ts'
import { type TestUser, makeTestUser } from '../../support/test-user.ts'

const entry = ({ name, address, hostKey }: LabHost): string =>
  `  ${name}:
    driver: ssh
    options: { address: ${address} }
    host: { phase: ready, address: ${address}, user: root, hostKeys: [${hostKey.split(' ').slice(0, 2).join(' ')}] }
`

interface Copy {
  readonly machine: string
  readonly bytes: number
  readonly sent: number
  readonly layers: number
}

describe.skipIf(!labIsHere)('copying an image', () => {
  let lab: Lab
  let ana: TestUser

  /** Runs a script on a host. Throws if it fails. */
  async function on(name: string, script: string): Promise<string> {
    const host = lab.hosts.find((host) => host.name === name)
    const { code, stdout, stderr } = (await host?.exec(script)) ?? {}
    if (code !== 0) throw new Error(`${script} on ${name}: ${stderr}`)
    return stdout?.trim() ?? ''
  }
  const build = (name: string, dockerfile: string) =>
    on('h1', `printf '${dockerfile}' | docker build --quiet -t ${name} -`)

  async function copy(...args: string[]): Promise<readonly Copy[]> {
    const { code, stdout, stderr } = await ana.fleet(['image', 'copy', '--json', ...args])
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' })
    return JSON.parse(stdout) as Copy[]
  }

  beforeAll(async () => {
    lab = await startLab({ hosts: 3, engine: true, image: true })
    ana = await makeTestUser({ identity: lab.identity.file })
    await writeFile(
      join(ana.folder, 'machines.yaml'),
      `version: 1\nid: 0123abcd\nmachines:\n${lab.hosts.map(entry).join('')}`,
    )
    await build('app:1', 'FROM bb:1\\nRUN dd if=/dev/urandom of=/blob bs=1M count=8\\n')
    await build('app:2', 'FROM app:1\\nRUN echo two > /version\\nCMD cat /version\\n')
  })
  afterAll(async () => {
    await ana.fleet(['broker', 'stop'])
    await ana[Symbol.asyncDispose]()
    await lab[Symbol.asyncDispose]()
  })

  test('copies to several machines concurrently, without the layers that they have', async () => {
    const copies = await copy('app:1', 'h1', 'h2', 'h3')
    // Before the copy, these engines have the base layer, but not the layer above it.
    expect(copies).toEqual(
      ['h2', 'h3'].map((machine) => ({
        machine,
        bytes: expect.any(Number) as number,
        sent: 1,
        layers: 2,
      })),
    )
    for (const { bytes } of copies) {
      expect(bytes).toBeGreaterThan(8 * 1024 * 1024)
      expect(bytes).toBeLessThan(9 * 1024 * 1024)
    }
    const ids = await Promise.all(
      ['h1', 'h2', 'h3'].map((name) => on(name, 'docker inspect -f "{{.Id}}" app:1')),
    )
    expect(new Set(ids).size).toBe(1)
  })

  test('sends only the missing small layer, and the image runs', async () => {
    const [only] = await copy('app:2', 'h1', 'h2')
    expect(only).toMatchObject({ sent: 1, layers: 3 })
    expect(only?.bytes).toBeLessThan(100_000)
    expect(await on('h2', 'docker run --rm app:2')).toBe('two')
    expect(await on('h2', 'docker run --rm app:2 wc -c /blob')).toBe('8388608 /blob')
  })

  test('sends the whole image to an engine without any of its layers', async () => {
    await on('h3', 'docker rmi -f app:1 bb:1')
    expect(await copy('app:2', 'h1', 'h3')).toMatchObject([{ sent: 3, layers: 3 }])
    expect(await on('h3', 'docker run --rm app:2')).toBe('two')
  })

  test('sends nothing if the engine has the image, and only tags it', async () => {
    await on('h2', 'docker tag app:2 other:1 && docker rmi app:2')
    expect(await copy('app:2', 'h1', 'h2')).toMatchObject([{ bytes: 0, sent: 0 }])
    expect(await on('h2', 'docker run --rm app:2')).toBe('two')
  })

  test('copies only the named image, even if the source host adds others to the archive or prints output', async () => {
    const evil = `[ "$1" = save ] && set -- "$@" trusted:1; exec "$(command -v -p docker || echo /usr/local/bin/docker)" "$@"`
    await on('h2', 'docker tag bb:1 trusted:1')
    const before = await on('h2', 'docker inspect -f "{{.Id}}" trusted:1')
    await build('trusted:1', 'FROM bb:1\\nRUN echo evil > /evil\\n')
    await build('app:3', 'FROM bb:1\\nRUN echo three > /version\\nCMD cat /version\\n')
    await on(
      'h1',
      `cp -p ~/.bashrc ~/kept 2>/dev/null; mkdir -p ~/bin && printf '%s\n' '#!/bin/sh' '${evil}' >~/bin/docker &&
       chmod +x ~/bin/docker && printf '%s\n' 'echo WELCOME' 'PATH=~/bin:$PATH' >~/.bashrc`,
    )
    try {
      await ana.fleet(['broker', 'stop'])
      expect(await copy('app:3', 'h1', 'h2')).toMatchObject([{ machine: 'h2' }])
    } finally {
      await on('h1', 'rm -rf ~/bin ~/.bashrc; mv ~/kept ~/.bashrc 2>/dev/null; true')
    }
    expect(await on('h2', 'docker run --rm app:3')).toBe('three')
    expect(await on('h2', 'docker inspect -f "{{.Id}}" trusted:1')).toBe(before)
  })

  test('reports an image that the source does not have for each target', async () => {
    const { code, stderr } = await ana.fleet(['image', 'copy', 'none:1', 'h1', 'h2'])
    expect(code).toBe(1)
    expect(stderr).toMatch(/no such image/i)
    expect((await ana.fleet(['image', 'copy', 'bb:1', 'h1', 'h1'])).code).toBe(2)
  })
})
