import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { connect } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { controlGroupFolders } from '../support/lab/control-groups.ts'
import {
  type Account,
  type Lab,
  type LabHost,
  accounts,
  labIsHere,
  password,
  startLab,
} from '../support/lab/lab.ts'
import { until } from '../support/lab/process.ts'

/** Resolves to the first bytes from a host's SSH server, `silent` after one second, or the error code. */
function knock(host: LabHost): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: host.address, port: host.port })
    let connected = false
    socket.setTimeout(1000, () => {
      resolve(connected ? 'accepted, silent' : 'silent')
      socket.destroy()
    })
    socket.once('connect', () => (connected = true))
    socket.once('data', (bytes) => {
      resolve(bytes.toString('latin1').slice(0, 4))
      socket.destroy()
    })
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''))
  })
}

const execFileText = promisify(execFile)

/** Logs in with OpenSSH's client, by default with the lab's key. */
function ssh(
  lab: Lab,
  host: LabHost,
  command: string,
  user: Account = 'root',
  login = ['-i', lab.identity.file, '-o', 'BatchMode=yes'],
): Promise<string> {
  const options = ['-F', 'none', ...login]
  const knownHosts = ['-o', 'StrictHostKeyChecking=yes', '-o', 'UserKnownHostsFile=/dev/null']
  const pinned = ['-o', `KnownHostsCommand=/bin/echo ${host.address} ${host.hostKey}`]
  const argv = [...options, ...knownHosts, ...pinned, `${user}@${host.address}`, command]
  return execFileText('ssh', argv).then(({ stdout }) => stdout.trim())
}

const output = async (host: LabHost, command: string) => (await host.exec(command)).stdout.trim()

/** Returns the PIDs of processes in any of these PID namespaces. */
const processesIn = (namespaces: readonly string[]) =>
  readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => {
      try {
        return namespaces.includes(readlinkSync(`/proc/${pid}/ns/pid`))
      } catch {
        return false // it has just exited
      }
    })

describe.skipIf(!labIsHere)('a lab', () => {
  let lab: Lab
  let first: LabHost
  let second: LabHost

  beforeAll(async () => {
    lab = await startLab({ hosts: 2, engine: true, registry: true, image: true })
    const [one, two] = lab.hosts
    if (!one || !two) throw new Error('two hosts were asked for')
    first = one
    second = two
  })
  afterAll(() => lab[Symbol.asyncDispose]())

  test('accepts every account over SSH with the reported host key', async () => {
    for (const user of Object.keys(accounts) as Account[])
      expect(await ssh(lab, first, 'whoami; hostname; pwd', user)).toBe(`${user}\nh1\n/srv/${user}`)
  })

  test('gives ana access to the engine, and bob sudo', async () => {
    expect(await ssh(lab, first, 'docker ps -q && echo yes', 'ana')).toBe('yes')
    await expect(ssh(lab, first, 'docker ps', 'bob')).rejects.toThrow('permission denied')
    expect(await ssh(lab, first, 'sudo -n id -u', 'bob')).toBe('0')
  })

  test('gives every host a separate engine, file system and network', async () => {
    await first.exec(
      'docker tag bb:1 only-on-first:1; echo first >/srv/root/mark; echo 1 >/etc/mark; echo 1 >/dev/shm/mark',
    )
    expect(await output(first, 'docker images -q only-on-first')).not.toBe('')
    expect(await output(second, 'docker images -q only-on-first')).toBe('')
    const marks = '/srv/root/mark /etc/mark /dev/shm/mark'
    expect(await output(second, `ls ${marks} 2>&1 | grep -c "No such"`)).toBe('3')
    expect(await output(second, `docker run --rm bb:1 ping -c 1 -W 5 ${first.address}`)).toContain(
      '1 packets received',
    )
    expect(existsSync('/etc/mark')).toBe(false)
  })

  test("exposes an engine's socket to this process", async () => {
    const version = await new Promise<string>((resolve, reject) => {
      get({ socketPath: first.engineSocket, path: '/version' }, (response) => {
        text(response).then(resolve, reject)
      }).on('error', reject)
    })
    expect(JSON.parse(version)).toHaveProperty('ApiVersion')
  })

  test('has a registry to transfer images between hosts', async () => {
    const name = `${lab.registry}/team/app:1`
    expect(await first.exec(`docker tag bb:1 ${name} && docker push ${name}`)).toHaveProperty(
      'code',
      0,
    )
    expect(await output(second, `docker run --rm ${name} echo pulled`)).toBe('pulled')
  })

  test('runs programs on a host with their input, environment, signals and exit code', async () => {
    const cat = first.spawn(['cat'])
    cat.stdin?.end('through')
    expect(cat.stdout && (await text(cat.stdout))).toBe('through')

    const { stdout } = await first.exec('echo "$HOME $FLAVOUR $PWD"', {
      env: { FLAVOUR: 'sour' },
      cwd: '/etc',
    })
    expect(stdout).toBe(`${first.home} sour /etc\n`)

    const sleep = first.spawn([
      'sh',
      '-c',
      'trap "exit 42" TERM; echo ready; while :; do sleep .1; done',
    ])
    if (sleep.stdout) await once(sleep.stdout, 'data')
    sleep.kill('SIGTERM')
    expect(await once(sleep, 'exit')).toEqual([42, null])
  })

  test('stops a host gracefully, and starts it with its disk', async () => {
    await first.exec('docker run -d --name stays --restart always --stop-timeout 1 bb:1 sleep 1000')
    await first.stop()
    expect(['EHOSTUNREACH', 'silent']).toContain(await knock(first))
    expect(await knock(second)).toBe('SSH-')
    await first.start()
    expect(await knock(first)).toBe('SSH-')
    expect(await output(first, 'cat /srv/root/mark')).toBe('first')
    await until('the container to be back', async () =>
      (await output(first, 'docker ps -q -f name=stays')) === '' ? undefined : true,
    )
    await first.exec('docker rm -f stays')
  })

  test('kills a host with all its processes', async () => {
    const long = second.spawn(['sh', '-c', 'echo ready; exec sleep 1000'])
    if (long.stdout) await once(long.stdout, 'data')
    const [end] = await Promise.all([once(long, 'exit'), second.kill()])
    expect(end).toEqual([null, 'SIGKILL'])
    await second.start()
    expect(await ssh(lab, second, 'echo back')).toBe('back')
    expect(await output(second, 'docker images -q bb:1')).not.toBe('')
  })

  test('pauses and resumes an SSH server', async () => {
    first.pause()
    expect(await knock(first)).toBe('accepted, silent')
    first.resume()
    expect(await knock(first)).toBe('SSH-')
  })

  test('drops the traffic of only one host', async () => {
    await first.drop(true)
    expect(await knock(first)).toBe('silent')
    expect(await knock(second)).toBe('SSH-')
    await first.drop(false)
    expect(await knock(first)).toBe('SSH-')
  })

  test('replaces a host key', async () => {
    const before = first.hostKey
    expect(await first.replaceHostKey()).toBe(first.hostKey)
    expect(first.hostKey).not.toBe(before)
    expect(await ssh(lab, first, 'echo new')).toBe('new')
    await expect(ssh(lab, { ...first, hostKey: before }, 'echo new')).rejects.toThrow(
      'verification failed',
    )
  })

  test('has network access only to the lab', async () => {
    expect(Object.keys(networkInterfaces()).every((name) => /^lo$|^lab/.test(name))).toBe(true)
    const { stdout } = await execFileText('ip', ['route', 'show', 'default'])
    expect(stdout).toBe('')
  })

  test('provides a path to the network namespace of this computer', async () => {
    const outside = process.env['FLEET_LAB_OUTSIDE'] ?? ''
    const { stdout } = await execFileText('nsenter', [`--net=${outside}`, 'ip', '-o', 'link'])
    expect(stdout).not.toContain('lab')
    expect(readlinkSync(outside)).not.toBe(readlinkSync('/proc/self/ns/net'))
  })
})

test.skipIf(!labIsHere)('a lab accepts password logins if SSH options allow them', async () => {
  await using lab = await startLab({
    hosts: 1,
    sshdOptions: { UsePAM: 'yes', KbdInteractiveAuthentication: 'yes' },
  })
  const [host] = lab.hosts
  if (!host) throw new Error('one host was asked for')
  const answer = join(dirname(lab.identity.file), 'answer')
  await writeFile(answer, `#!/bin/sh\necho ${password}\n`, { mode: 0o700 })
  vi.stubEnv('SSH_ASKPASS', answer)
  vi.stubEnv('SSH_ASKPASS_REQUIRE', 'force')
  const login = ['-o', 'PreferredAuthentications=keyboard-interactive']
  expect(await ssh(lab, host, 'whoami', 'ana', login)).toBe('ana')
  vi.unstubAllEnvs()
})

describe.skipIf(!labIsHere)('cleanup of a lab', () => {
  test('leaves nothing behind when a lab is disposed of', async () => {
    const lab = await startLab({ hosts: 2, engine: true, registry: true, image: true })
    const folder = dirname(lab.identity.file)
    const controlGroup = `${basename(tmpdir())}/${basename(folder)}`
    const bridge = `lab${lab.hosts[0]?.address.split('.')[2]}`
    const namespaces = await Promise.all(
      lab.hosts.map((host) => output(host, 'readlink /proc/self/ns/pid')),
    )
    for (const host of lab.hosts) await host.exec('docker run -d bb:1 sleep 1000')
    await lab.hosts[1]?.drop(true)
    lab.hosts[0]?.pause()
    expect(processesIn(namespaces).length).toBeGreaterThan(8)
    expect(controlGroupFolders(controlGroup)).not.toEqual([])
    expect(networkInterfaces()).toHaveProperty(bridge)

    await lab[Symbol.asyncDispose]()
    expect(processesIn(namespaces)).toEqual([])
    expect(controlGroupFolders(controlGroup)).toEqual([])
    expect(existsSync(folder)).toBe(false)
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(folder)
    const { stdout } = await execFileText('ip', ['-o', 'link'])
    expect(stdout).not.toContain(bridge)
    await expect(fetch(`http://${lab.registry}/v2/`)).rejects.toThrow('fetch failed')
  })

  test('leaves nothing behind when a lab fails to start', async () => {
    // Other tests use the common directory concurrently. The control groups are also named after this test's directory.
    const folder = await mkdtemp(join(tmpdir(), 'failing-'))
    vi.stubEnv('TMPDIR', folder)
    await expect(startLab({ hosts: 2, sshdOptions: { Nonsense: 'yes' } })).rejects.toThrow(
      'Nonsense',
    )
    expect(readdirSync(folder)).toEqual([])
    vi.unstubAllEnvs()
  })

  test('leaves nothing behind when the process around it is killed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'killed-'))
    const enter = new URL('../support/lab/enter.mjs', import.meta.url).href
    const program = `import { runInLab } from '${enter}'
      await runInLab(['sh', '-c', 'readlink /proc/self/ns/pid; exec sleep 1000'])`
    const runner = spawn(process.execPath, ['--input-type=module', '-e', program], {
      env: { ...process.env, TMPDIR: folder },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = (await once(runner.stdout, 'data')) as [Buffer]
    const namespace = line.toString().trim()
    expect(readdirSync(folder)).toHaveLength(1)
    expect(processesIn([namespace])).not.toEqual([])
    runner.kill('SIGKILL')
    await until('everything to be gone', () =>
      processesIn([namespace]).length + readdirSync(folder).length === 0 ? true : undefined,
    )
    await rm(folder, { recursive: true })
  })
})
