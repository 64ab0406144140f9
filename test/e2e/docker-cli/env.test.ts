import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { type Lab, type LabHost, labIsHere, startLab } from '../../support/lab/lab.ts'
import { type TestUser, makeTestUser, program } from '../../support/test-user.ts'
import { hostOf } from '../../support/ssh/ssh-target.ts'

/** Resolves to the output of docker with a socket, or its error output if it fails. */
const docker = async (path: string, ...args: string[]) => {
  const run = promisify(execFile)('docker', ['-H', `unix://${path}`, ...args])
  return await run.then(
    ({ stdout }) => stdout,
    ({ stderr }: { stderr: string }) => stderr,
  )
}

describe.skipIf(!labIsHere)('fleet env', () => {
  let lab: Lab
  let host: LabHost
  let ana: TestUser

  beforeAll(async () => {
    lab = await startLab({ hosts: 1, engine: true, image: true })
    host = hostOf(lab)
    ana = await makeTestUser({ identity: lab.identity.file, broker: true })
    const adopt = ['adopt', `root@${host.address}`, '--name', 'h1', '--accept-new']
    expect(await ana.fleet(adopt)).toMatchObject({ code: 0 })
    expect(await ana.fleet(['use', 'h1'])).toMatchObject({ code: 0 })
  })
  afterAll(async () => {
    await ana[Symbol.asyncDispose]()
    await lab[Symbol.asyncDispose]()
  })

  const fleet = program

  /** Starts a shell in a new session, as in a new terminal window, with the environment for h1. */
  function startShell(script: string, shell = 'bash'): ChildProcess {
    const lines = `eval "$(${fleet} env)"\n${script}`
    const started = spawn(shell, ['-c', lines], {
      env: ana.env,
      cwd: ana.folder,
      detached: true,
    })
    onTestFinished(() => void started.kill('SIGKILL'))
    return started
  }
  /** Resolves to the output of a shell that `startShell` starts. */
  async function inShell(script: string, input = ''): Promise<string> {
    const shell = startShell(script)
    shell.stdin?.end(input)
    const said = text(shell.stdout as NodeJS.ReadableStream)
    const complaints = text(shell.stderr as NodeJS.ReadableStream)
    const [code] = (await once(shell, 'close')) as [number]
    expect({ code, complaints: await complaints }).toEqual({ code: 0, complaints: '' })
    return await said
  }

  test('makes docker use the machine, also for attached commands', async () => {
    const script = [
      'echo $FLEET_MACHINE',
      'docker run -d --name app bb:1 sleep 1000 >/dev/null',
      'docker ps --format "{{.Names}}"',
      'docker exec -i app cat',
      'docker run -i --rm bb:1 sh -c "cat; echo after"',
      'docker exec app sh -c "exit 3"; echo $?',
    ].join('\n')
    const [name, ps, ...rest] = (await inShell(script, 'in\n')).split('\n')
    expect([name, ps, ...rest]).toEqual(['h1', 'app', 'in', 'after', '3', ''])
  })

  test('transfers much data in both directions, without keeping it in memory', async () => {
    const script = [
      'head -c 300000000 /dev/zero | docker exec -i app sh -c "wc -c"',
      'docker exec app sh -c "head -c 300000000 /dev/zero" | wc -c',
    ].join('\n')
    expect((await inShell(script)).split(/\s+/)).toEqual(['300000000', '300000000', ''])
    const { stdout } = await ana.fleet(['broker', 'status', '--json'])
    const { pid } = JSON.parse(stdout) as { pid: number }
    const status = await readFile(`/proc/${pid}/status`, 'utf8')
    expect(Number(/VmHWM:\s*(\d+)/.exec(status)?.[1])).toBeLessThan(300_000)
  })

  test('opens 30 concurrent streams although sshd allows ten sessions', async () => {
    const shell = startShell(
      'for i in $(seq 30); do docker exec app sh -c "echo $i; cat" <&0 & done; wait',
    )
    let seen = ''
    shell.stdout?.on('data', (chunk: Buffer) => (seen += String(chunk)))
    await vi.waitFor(() => expect(seen.trim().split('\n')).toHaveLength(30), 120_000)
    shell.stdin?.end()
    expect(await once(shell, 'close')).toEqual([0, null])
  })

  /** Opens a terminal that stays open. Resolves to its shell and the path of its socket. */
  async function openTerminal() {
    const shell = startShell('echo ${DOCKER_HOST#unix://}; read -r line')
    const [chunk] = (await once(shell.stdout as NodeJS.ReadableStream, 'data')) as [Buffer]
    return { shell, path: String(chunk).trim() }
  }
  test('provides a socket that works again when the machine is back, and reports its absence until then', async () => {
    const { path } = await openTerminal()
    const ask = () => docker(path, 'info', '--format', '{{.Name}}')
    expect(await ask()).toBe('h1\n')
    const events = spawn('docker', ['-H', `unix://${path}`, 'events'])
    const ended = once(events, 'close')
    await sleep(500)
    await host.stop()
    await ended
    expect(await docker(path, 'ps')).toContain('Error response from daemon: fleet: cannot reach h1')
    await host.start()
    await vi.waitFor(async () => expect(await ask()).toBe('h1\n'), 120_000)
  })

  test('removes the socket when the terminal is closed', async () => {
    const { shell, path } = await openTerminal()
    expect(existsSync(path)).toBe(true)
    shell.stdin?.end()
    await once(shell, 'close')
    await vi.waitFor(() => expect(existsSync(path)).toBe(false), {
      timeout: 120_000,
      interval: 500,
    })
  })

  test('provides the socket again when the broker was killed and any command has run', async () => {
    const { path } = await openTerminal()
    const { stdout } = await ana.fleet(['broker', 'status', '--json'])
    process.kill((JSON.parse(stdout) as { pid: number }).pid, 'SIGKILL')
    expect(await ana.fleet(['ssh', 'h1', 'true'])).toMatchObject({ code: 0 })
    expect(await docker(path, 'info', '--format', '{{.Name}}')).toBe('h1\n')
  })

  test('adds to NO_PROXY, and can be undone', async () => {
    const env = { NO_PROXY: 'localhost, .corp' }
    const { stdout } = await ana.fleet(['env', '--bypass-proxy', '--shell', 'bash'], { env })
    expect(stdout).toContain(`export NO_PROXY='localhost,.corp,${host.address}'\n`)
    const undone = await ana.fleet(['env', '--unset', '--shell', 'zsh'])
    expect(undone.stdout).toBe('unset DOCKER_HOST\nunset FLEET_MACHINE\n')
  })

  test('prints commands for the calling shell, and refuses unknown shells', async () => {
    const { stdout } = await ana.fleet(['env', '--shell', 'tcsh'])
    expect(stdout).toBe('')
    expect(await ana.fleet(['env', '--shell', 'tcsh'])).toMatchObject({ code: 2 })
    const fish = spawn('fish', ['-c', `${fleet} env`], {
      env: { ...ana.env, SHELL: '/bin/bash' },
      cwd: ana.folder,
    })
    expect(await text(fish.stdout)).toMatch(/^set -gx DOCKER_HOST '/)
  })

  test('requires the broker', async () => {
    const answer = await ana.fleet(['env'], { env: { FLEET_BROKER: 'off' } })
    expect(answer).toMatchObject({ code: 8, stdout: '' })
  })
})
