import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type Seat, modes, takeSeat } from '../../support/docker/docker-client.ts'
import { type Lab, labIsHere, startLab } from '../../support/lab/lab.ts'
import {
  type RegistryWithLogin,
  login,
  startRegistryWithLogin,
} from '../../support/docker/registry-with-login.ts'

let lab: Lab
let locked: RegistryWithLogin
beforeAll(async () => {
  if (!labIsHere) return
  lab = await startLab({ hosts: 2, engine: true, image: true, registry: true })
  locked = await startRegistryWithLogin(lab.registry?.split(':')[0] ?? '')
})
afterAll(async () => {
  await locked?.[Symbol.asyncDispose]()
  await lab?.[Symbol.asyncDispose]()
})

const env = { DOCKER_BUILDKIT: '0' }
const auth = Buffer.from(`${login.user}:${login.password}`).toString('base64')
/** A credential helper for one registry: docker asks the store for its `list` when it builds. */
const helper = (registry: string) => `#!/bin/sh
[ "$1" = list ] && { echo '{"${registry}":"${login.user}"}'; exit; }
read registry
echo '{"Username":"${login.user}","Secret":"${login.password}"}'
`

/** Whether any process of the hosts shows the password, or its encoding, in its command line or its environment. */
async function isOverheard(): Promise<boolean> {
  const look = `cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' '\\n' | grep -e '${login.password.slice(0, 6)}[-]' -e '${auth.slice(0, 6)}[${auth.charAt(6)}]'`
  const found = await Promise.all(lab.hosts.map((host) => host.exec(look)))
  return found.some(({ stdout }) => stdout !== '')
}

/** What a container runs until a file says that it may go. */
const untilTold = ['sh', '-c', 'until [ -e /go ]; do sleep 0.1; done']

const leftovers = async (): Promise<string> => {
  const found = await Promise.all(
    lab.hosts.map((host) =>
      host.exec('ls -d /dev/shm/.fleet-* /tmp/.fleet-* ~/.docker 2>/dev/null'),
    ),
  )
  return found.map(({ stdout }) => stdout).join('')
}

describe.skipIf(!labIsHere).each(modes)('registries $mode', ({ here }) => {
  let seat: Seat
  const config = (content: unknown) =>
    writeFile(join(seat.folder, 'config.json'), JSON.stringify(content))
  const withConfig = () => ({ env: { ...env, DOCKER_CONFIG: seat.folder } })
  const layers = (image: string, machine: string) =>
    seat.ok(['inspect', '-f', '{{json .RootFS.Layers}}', image], { machine })

  beforeAll(async () => {
    seat = await takeSeat(lab, { here })
    await mkdir(join(seat.folder, 'app'))
    await writeFile(
      join(seat.folder, 'app/Dockerfile'),
      'FROM bb:1\nRUN echo 1 >/1\nRUN echo 2 >/2\n',
    )
  })
  afterAll(async () => {
    await seat[Symbol.asyncDispose]()
    // What is held for a connection goes a moment after it.
    await vi.waitFor(async () => expect(await leftovers()).toBe(''), 120_000)
  })

  test('an image goes through one with all its layers, from one machine to another', async () => {
    const image = `${lab.registry}/team/app:${here ? 1 : 2}`
    await seat.ok(['build', '-t', image, 'app'], { env })
    await seat.ok(['push', image])
    await seat.ok(['pull', image], { machine: 'h2' })
    expect(await seat.ok(['run', '--rm', image, 'cat', '/1', '/2'], { machine: 'h2' })).toBe('1\n2')
    const pushed = await layers(image, 'h1')
    expect(await layers(image, 'h2')).toBe(pushed)
    expect(JSON.parse(pushed)).toHaveLength(3)
    await seat.ok(['rmi', image], { machine: 'h2' })
  })

  test.each([
    { keeping: 'the configuration file', from: () => ({ auths: { [locked.name]: { auth } } }) },
    {
      keeping: 'a helper of the registry',
      from: () => ({ credHelpers: { [locked.name]: 'lab' } }),
    },
    { keeping: 'a credential store', from: () => ({ credsStore: 'lab' }) },
  ])('a login kept in $keeping opens one', async ({ from }) => {
    const image = `${locked.name}/team/app:1`
    await writeFile(join(seat.folder, 'docker-credential-lab'), helper(locked.name), {
      mode: 0o755,
    })
    await seat.ok(['tag', 'bb:1', image])
    await config({})
    expect(await seat.docker(['push', image], withConfig())).toMatchObject({ code: 1 })
    await config(from())
    await seat.ok(['push', image], withConfig())
    await seat.ok(['rmi', image])

    await writeFile(join(seat.folder, 'Private'), `FROM ${image}\nRUN echo built >/built\n`)
    await seat.ok(['build', '-t', 'of-private', '-f', 'Private', 'app'], withConfig())
    expect(await seat.ok(['run', '--rm', 'of-private', 'cat', '/built'])).toBe('built')
    await seat.ok(['rmi', 'of-private', image])

    const machine = 'h2'
    const running = seat.ok(['run', '--rm', '--name', 'private', image, ...untilTold], {
      ...withConfig(),
      machine,
    })
    await expect.poll(() => seat.ok(['ps', '-q', '-f', 'name=private'], { machine })).not.toBe('')
    expect(await isOverheard()).toBe(false)
    await seat.ok(['exec', 'private', 'touch', '/go'], { machine })
    await running
    await seat.ok(['rmi', image], { machine })
  })

  test('a login to another registry stays here', async () => {
    await config({ auths: { 'elsewhere.example': { auth } } })
    const words = ['run', '--rm', '--name', 'quiet', 'bb:1', ...untilTold]
    const running = seat.ok(words, withConfig())
    await expect.poll(() => seat.ok(['ps', '-q', '-f', 'name=quiet'])).not.toBe('')
    expect(await leftovers()).toBe('')
    await seat.ok(['exec', 'quiet', 'touch', '/go'])
    await running
  })
})
