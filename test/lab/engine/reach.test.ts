import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { openEngine } from '../../../src/engine/http-engine.ts'
import { readInfo } from '../../../src/engine/system.ts'
import { dialEngine } from '../../../src/operations/connect/reach-engine.ts'
import { connectSsh } from '../../../src/transport/ssh/connect.ts'
import { type Account, accounts } from '../../support/lab/accounts.ts'
import { type Lab, type LabHost, labIsHere, startLab } from '../../support/lab/lab.ts'

/** Opens the engine of a host as one of its users. */
async function openAs(lab: Lab, host: LabHost, user: Account, socket = '/var/run/docker.sock') {
  const { name: machine, address, port, hostKey } = host
  const identityFiles = [lab.identity.file]
  const target = { machine, address, port, user, hostKeys: [hostKey], identityFiles }
  const transport = await connectSsh(target, { env: {} })
  const engine = openEngine(dialEngine(transport, socket, machine), { label: machine })
  onTestFinished(async () => {
    await engine[Symbol.asyncDispose]()
    await transport[Symbol.asyncDispose]()
  })
  return { engine, transport }
}

/** Resolves to the number of dial-stdio processes on a host. */
const relays = async (host: LabHost): Promise<number> =>
  Number((await host.exec("pgrep -c -f 'docker system dial-stdi[o]'")).stdout)

/** Mounts that hide docker from a host: in overlayfs, a device 0,0 hides a file in lower layers. */
const hideDocker = [
  'mkdir -p /run/hidden',
  '{ [ -e /run/hidden/docker ] || mknod /run/hidden/docker c 0 0; }',
  'mount -t overlay overlay -o lowerdir=/run/hidden:/usr/bin /usr/bin',
  'mount -t overlay overlay -o lowerdir=/run/hidden:/usr/local/bin /usr/local/bin',
].join(' && ')

describe.skipIf(!labIsHere).each([
  { forwarding: 'allowed', sshdOptions: {} },
  { forwarding: 'forbidden', sshdOptions: { AllowStreamLocalForwarding: 'no' } },
])('an engine over SSH, forwarding $forwarding', ({ forwarding, sshdOptions }) => {
  let lab: Lab
  let host: LabHost

  beforeAll(async () => {
    lab = await startLab({ hosts: 1, engine: true, image: true, sshdOptions })
    ;[host] = lab.hosts as [LabHost]
  })
  afterAll(() => lab?.[Symbol.asyncDispose]())

  test.each([
    { user: 'root' as const, relayed: forwarding === 'forbidden' },
    { user: 'ana' as const, relayed: forwarding === 'forbidden' },
    { user: 'bob' as const, relayed: true },
  ])('is reached as $user', async ({ user, relayed }) => {
    const { engine } = await openAs(lab, host, user)
    const names = await Promise.all(Array.from({ length: 20 }, () => readInfo(engine)))
    expect(new Set(names.map(({ Name }) => Name))).toEqual(new Set([host.name]))
    expect((await relays(host)) > 0).toBe(relayed)
    await engine[Symbol.asyncDispose]()
    await expect.poll(() => relays(host)).toBe(0)
  })

  test('is reached on another socket', async () => {
    const { engine } = await openAs(lab, host, 'ana', '/run/elsewhere/engine.sock')
    await host.exec('mkdir -p /run/elsewhere && ln -s /run/docker.sock /run/elsewhere/engine.sock')
    expect((await readInfo(engine)).Name).toBe(host.name)
  })

  test('is reported as inaccessible if the user may not use it', async () => {
    const { engine } = await openAs(lab, host, 'bob')
    await host.exec('mv /etc/sudoers.d/bob /etc/sudoers.d/bob.off')
    onTestFinished(
      async () => void (await host.exec('mv /etc/sudoers.d/bob.off /etc/sudoers.d/bob')),
    )
    await expect(readInfo(engine)).rejects.toMatchObject({
      kind: 'failed',
      machine: host.name,
      message: 'the user does not have permission to use the engine socket /var/run/docker.sock',
      hint: expect.stringContaining('docker group'),
    })
  })

  test('is reached through a shell that prints output before every command', async () => {
    const greet = 'echo WELCOME; echo "to this host" >&2'
    await host.exec(`echo '${greet}' > ${accounts.ana.home}/.bashrc`)
    onTestFinished(async () => void (await host.exec(`rm ${accounts.ana.home}/.bashrc`)))
    const { engine } = await openAs(lab, host, 'ana')
    expect((await readInfo(engine)).Name).toBe(host.name)
    const { engine: none } = await openAs(lab, host, 'ana', '/run/none.sock')
    await expect(readInfo(none)).rejects.toThrow('the engine is not running')
  })

  test('is reported as inaccessible if sudo requires a terminal', async () => {
    await host.exec(`echo 'Defaults:bob requiretty' > /etc/sudoers.d/tty`)
    onTestFinished(async () => void (await host.exec('rm /etc/sudoers.d/tty')))
    const { engine } = await openAs(lab, host, 'bob')
    await expect(readInfo(engine)).rejects.toMatchObject({
      message: expect.stringContaining('sudo requires a terminal (requiretty)'),
      hint: expect.stringContaining('!requiretty'),
    })
  })

  test('is reported as inaccessible if the key is restricted to another command', async () => {
    const keys = `${accounts.ana.home}/.ssh/authorized_keys`
    await host.exec(
      `cp -p ${keys} ${keys}.all; sed -i 's/^/command="echo Backups only.; exit 3" /' ${keys}`,
    )
    onTestFinished(async () => void (await host.exec(`mv ${keys}.all ${keys}`)))
    const { engine } = await openAs(lab, host, 'ana', '/run/none.sock')
    await expect(readInfo(engine)).rejects.toMatchObject({
      message:
        'the host ran another command instead of docker, and that command printed: Backups only.',
      hint: expect.stringContaining('command='),
    })
  })

  test('is reached with a docker binary outside PATH', async () => {
    const elsewhere = `${accounts.bob.home}/bin`
    await host.exec(
      `mkdir ${elsewhere} && cp "$(command -v docker)" ${elsewhere}/docker && ${hideDocker}`,
    )
    onTestFinished(
      async () => void (await host.exec(`umount /usr/bin /usr/local/bin; rm -r ${elsewhere}`)),
    )
    const { engine } = await openAs(lab, host, 'bob')
    expect((await readInfo(engine)).Name).toBe(host.name)
  })

  test('is reported if it is not running', async () => {
    const { engine } = await openAs(lab, host, 'ana', '/run/none.sock')
    await expect(readInfo(engine)).rejects.toMatchObject({
      kind: 'failed',
      message: 'the engine is not running: nothing is listening on /run/none.sock',
      hint: `to repair the engine: fleet provision ${host.name}`,
    })
  })

  test('is reported if it is not installed', async () => {
    onTestFinished(async () => void (await host.exec('umount /usr/bin /usr/local/bin')))
    await host.exec(hideDocker)
    const { engine } = await openAs(lab, host, 'ana', '/run/none.sock')
    await expect(readInfo(engine)).rejects.toMatchObject({
      kind: 'failed',
      message: 'Docker is not installed',
      hint: `to install Docker: fleet provision ${host.name}`,
    })
  })
})
