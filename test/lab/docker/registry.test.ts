import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type Seat, modes, takeSeat } from '../../support/docker/docker-client.ts'
import { makeCertificates } from '../../support/certificates.ts'
import { type Lab, labIsHere, startLab } from '../../support/lab/lab.ts'
import { type TestUser, makeTestUser } from '../../support/test-user.ts'
import { login } from '../../support/docker/registry-login.ts'
import {
  type RegistryWithLogin,
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
/** Returns the script of a credential helper for one registry; docker runs its `list` command for builds. */
const helper = (registry: string) => `#!/bin/sh
[ "$1" = list ] && { echo '{"${registry}":"${login.user}"}'; exit; }
read registry
echo '{"Username":"${login.user}","Secret":"${login.password}"}'
`

/** Resolves to whether any host process shows the password, plain or encoded, in its command line or environment. */
async function isPasswordVisible(): Promise<boolean> {
  const look = `cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' '\\n' | grep -e '${login.password.slice(0, 6)}[-]' -e '${auth.slice(0, 6)}[${auth.charAt(6)}]'`
  const found = await Promise.all(lab.hosts.map((host) => host.exec(look)))
  return found.some(({ stdout }) => stdout !== '')
}

/** Command of a container that runs until the file /go exists. */
const untilGo = ['sh', '-c', 'until [ -e /go ]; do sleep 0.1; done']

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
  /** Stops a container that runs `untilGo`, possibly before the exec command itself has returned. */
  const end = async (name: string, options?: { readonly machine: string }): Promise<void> => {
    const { code } = await seat.docker(['exec', name, 'touch', '/go'], options)
    expect([0, 137]).toContain(code)
  }
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
    // The files for a connection are deleted shortly after it closes.
    await vi.waitFor(async () => expect(await leftovers()).toBe(''), 120_000)
  })

  test('transfer an image with all its layers from one machine to another', async () => {
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
      keeping: 'a credential helper of the registry',
      from: () => ({ credHelpers: { [locked.name]: 'lab' } }),
    },
    { keeping: 'a credential store', from: () => ({ credsStore: 'lab' }) },
  ])('accept a login from $keeping', async ({ from }) => {
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
    const running = seat.ok(['run', '--rm', '--name', 'private', image, ...untilGo], {
      ...withConfig(),
      machine,
    })
    await expect.poll(() => seat.ok(['ps', '-q', '-f', 'name=private'], { machine })).not.toBe('')
    expect(await isPasswordVisible()).toBe(false)
    await end('private', { machine })
    await running
    await seat.ok(['rmi', image], { machine })
  })

  test('receive no login to another registry', async () => {
    await config({ auths: { 'elsewhere.example': { auth } } })
    const words = ['run', '--rm', '--name', 'quiet', 'bb:1', ...untilGo]
    const running = seat.ok(words, withConfig())
    await expect.poll(() => seat.ok(['ps', '-q', '-f', 'name=quiet'])).not.toBe('')
    expect(await leftovers()).toBe('')
    await end('quiet')
    await running
  })
})

/** Runs a command on a host. Throws if it fails. */
const onHost = async (index: number, command: string): Promise<string> => {
  const result = await lab.hosts[index]?.exec(command)
  expect({ command, ...result }).toMatchObject({ code: 0 })
  return result?.stdout ?? ''
}

describe.skipIf(!labIsHere)('fleet registry', () => {
  let ana: TestUser
  let own: RegistryWithLogin
  let image: string
  const config = (content: unknown) =>
    writeFile(join(ana.home, '.docker/config.json'), JSON.stringify(content))
  const fleet = async (line: string, input?: string) =>
    ana.fleet(line.split(' '), input === undefined ? {} : { input })
  const ok = async (line: string, input?: string): Promise<string> => {
    const answer = await fleet(line, input)
    expect({ line, ...answer }).toMatchObject({ code: 0 })
    return answer.stdout
  }
  beforeAll(async () => {
    ana = await makeTestUser({ identity: lab.identity.file })
    await mkdir(join(ana.home, '.docker'))
    for (const { name, address } of lab.hosts) {
      await ok(`adopt root@${address} --name ${name} --accept-new`)
    }
    const address = locked.name.split(':')[0] ?? ''
    const { cert, key } = await makeCertificates(ana.home, [address])
    own = await startRegistryWithLogin(address, { port: 5002, tls: { cert, key } })
    image = `${locked.name}/team/app:1`
    await config({ auths: { [locked.name]: { auth } } })
    for (const name of [image, `${lab.registry}/plain/app:1`, `${own.name}/own/app:2`]) {
      await config({ auths: { [locked.name]: { auth }, [own.name]: { auth } } })
      await ok(`-m h1 image tag bb:1 ${name}`)
      await ok(`-m h1 push ${name}`)
      await ok(`-m h1 image rm ${name}`)
    }
  })
  afterAll(async () => {
    await own[Symbol.asyncDispose]()
    await ana[Symbol.asyncDispose]()
  })

  test('lists repositories and tags of an unencrypted registry and of one with a private authority', async () => {
    await config({})
    const refused = await fleet(`registry ls ${lab.registry}`)
    expect(refused).toMatchObject({ code: 5, stderr: expect.stringContaining('--insecure') })
    expect(await ok(`registry ls ${lab.registry} --insecure`)).toContain('plain/app\n')
    expect(await ok(`registry tags ${lab.registry}/plain/app --insecure`)).toBe('1\n')

    const untrusted = await fleet(`registry ls ${own.name}`)
    expect(untrusted).toMatchObject({ code: 5, stderr: expect.stringContaining('--ca FILE') })
    const ca = join(ana.home, 'ca.pem')
    const locked = await fleet(`registry ls ${own.name} --ca ${ca}`)
    expect(locked).toMatchObject({ code: 6, stderr: expect.stringContaining('docker login') })
    await config({ auths: { [own.name]: { auth } } })
    expect(await ok(`registry ls ${own.name} --ca ${ca}`)).toBe('own/app\n')
    await mkdir(join(ana.home, '.docker/certs.d', own.name), { recursive: true })
    await writeFile(join(ana.home, '.docker/certs.d', own.name, 'ca.crt'), await readFile(ca))
    expect(await ok(`registry tags ${own.name}/own/app`)).toBe('2\n')
    expect(await fleet(`registry tags ${own.name}/own/none`)).toMatchObject({ code: 1 })
  })

  test('logs hosts in so that they can pull without fleet, and logs them out', async () => {
    await onHost(0, 'mkdir -p ~/.docker && echo \'{"detachKeys":"ctrl-a"}\' >~/.docker/config.json')
    const login = `registry login ${locked.name} -u ana --password-stdin --on h*`
    const wrong = await fleet(login, 'not-it')
    expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining('rejected the login') })
    expect(await onHost(0, 'cat ~/.docker/config.json')).not.toContain('auths')
    expect((await lab.hosts[1]?.exec(`docker pull ${image}`))?.code).not.toBe(0)

    const answer = await fleet(login, 'lab-password\n')
    expect(answer).toMatchObject({ code: 0, stderr: expect.stringContaining('not encrypted') })
    const row = (name: string) =>
      `${name}\\t${locked.name}\\tana\\t/\\S*root/.docker/config.json\\n`
    expect(answer.stdout).toMatch(new RegExp(`^${row('h1')}${row('h2')}$`))
    expect(await onHost(0, 'stat -c %a ~/.docker/config.json')).toBe('600\n')
    expect(await onHost(0, 'cat ~/.docker/config.json')).toContain('"detachKeys"')
    for (const index of [0, 1]) await onHost(index, `docker pull ${image} && docker rmi ${image}`)
    const listed = JSON.parse(await ok('registry ls --all --json')) as object[]
    expect(listed).toMatchObject([
      { machine: 'h1', registry: locked.name, user: 'ana' },
      { machine: 'h2', registry: locked.name, user: 'ana' },
    ])
    expect(JSON.stringify(listed)).not.toContain('password')
    expect(await ana.inventory()).not.toMatch(/lab-password|auths/)

    expect(await ok(`registry logout ${locked.name} --on h1`)).toContain('logged out')
    expect(await ok(`registry logout ${locked.name} -m h1`)).toContain('was not logged in')
    expect((await lab.hosts[0]?.exec(`docker pull ${image}`))?.code).not.toBe(0)
    expect(await ok('registry ls -q --all')).toBe(`h2/${locked.name}\n`)
    await ok(`registry logout ${locked.name} -m h2`)
  })

  test("stores the password in a host's credential helper, and no process list shows it", async () => {
    const kept = '/root/kept'
    const script = `#!/bin/sh
case $1 in
store) cat >${kept}; cat /proc/[0-9]*/cmdline | tr '\\0' ' ' >/root/processes ;;
erase) read registry; rm -f ${kept} ;;
get) read registry; cat ${kept} ;;
list) if [ -e ${kept} ]; then echo '{"${locked.name}":"ana"}'; else echo '{}'; fi ;;
esac
`
    await onHost(
      0,
      `cat >/usr/local/bin/docker-credential-lab <<'END'\n${script}END\nchmod +x /usr/local/bin/docker-credential-lab`,
    )
    await onHost(0, 'echo \'{"credsStore":"lab"}\' >~/.docker/config.json')
    const login = `registry login ${locked.name} -u ana --password-stdin -m h1`
    expect(await ok(login, 'lab-password')).toBe(`${locked.name}\tana\tdocker-credential-lab\n`)
    expect(await onHost(0, 'cat ~/.docker/config.json')).not.toContain(auth)
    expect(await onHost(0, `cat ${kept}`)).toContain('"Secret":"lab-password"')
    expect(await onHost(0, 'cat /root/processes')).not.toContain('lab-password')
    await onHost(0, `docker pull ${image} && docker rmi ${image}`)
    expect(JSON.parse(await ok('registry ls -m h1 --json'))).toMatchObject([
      { registry: locked.name, user: 'ana', helper: 'docker-credential-lab' },
    ])
    expect(await ok(`registry logout ${locked.name} -m h1`)).toContain('logged out')
    await onHost(0, `[ ! -e ${kept} ]`)
    await onHost(0, 'rm -r ~/.docker /usr/local/bin/docker-credential-lab')
    await onHost(1, 'rm -r ~/.docker')
  })

  test('logs root in with --root, for users who may use sudo', async () => {
    for (const user of ['bob', 'ana']) {
      await ok(`adopt ${user}@${lab.hosts[0]?.address} --name ${user}-1 --accept-new`)
    }
    const login = `registry login ${locked.name} -u ana --password-stdin --root -m`
    expect(await ok(`${login} bob-1`, 'lab-password')).toMatch(/root\/\.docker\/config\.json\n$/)
    await onHost(0, `docker pull ${image} && docker rmi ${image}; [ ! -e ~bob/.docker ]`)
    expect(await ok('registry ls --root -m bob-1')).toContain(locked.name)
    await ok(`registry logout ${locked.name} --root -m bob-1`)
    expect((await lab.hosts[0]?.exec(`docker pull ${image}`))?.code).not.toBe(0)
    expect(await fleet(`${login} ana-1`, 'lab-password')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/sudo: .*\n.*allow the user to use sudo without a password/),
    })
    for (const user of ['bob', 'ana']) await ok(`forget ${user}-1 --yes`)
    await onHost(0, 'rm -r ~/.docker')
  })
})
