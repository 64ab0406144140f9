import { spawn } from 'node:child_process'
import { installHostKey, stageHostKey } from '../../../src/provision/host/host-key.ts'
import { probeScript } from '../../../src/provision/host/probe.ts'
import { startLoopbackSshd } from '../ssh/loopback-sshd.ts'
import { answerAsEngine } from './fake-engine.ts'

/** A host whose commands, scripts and engine are emulated in this process. It accepts all logins. */
export interface FakeHost extends AsyncDisposable {
  readonly port: number
  readonly hostKey: string
  /** Returns the command lines that were run since the previous call. */
  commands(): readonly string[]
  /** From now on, runs commands with the local shell. Copies need this, because they use programs of the host. */
  runForReal(): void
}

/** Output of the host probe for a Debian host with an engine. */
const facts = `fleet os.id=debian
fleet os.like=
fleet os.version=12
fleet os.name=Debian GNU/Linux 12 (bookworm)
fleet system=Linux
fleet machine=x86_64
fleet kernel=6.1.0
fleet uid=0
fleet user=root
fleet groups=root
fleet init=systemd
fleet service.enabled=enabled
fleet service.active=active
fleet cli=yes
fleet daemon=yes
fleet socket=/var/run/docker.sock
fleet socket.direct=yes
fleet engine=27.5.1
`

/** Output of the package manager query for an engine that is up to date. */
const packages = `fleet package=docker.io
fleet installed=27.5.1
fleet candidate=27.5.1
fleet order=same
`

interface Answer {
  readonly stdout?: string
  readonly stderr?: string
  readonly code?: number
}

/** Number that changes each time the boot ID is read, so that the host seems to have rebooted. */
let boots = 0

const release = (number: number): string =>
  JSON.stringify({
    ...{ number, state: 'ready', by: 'ana@laptop', at: '2026-01-01T00:00:00Z' },
    ...{ compose: '2.40.3', digest: 'd', images: { web: `sha256:${'a'.repeat(64)}` } },
  })

const model = JSON.stringify({ name: 'shop', services: { web: { image: 'nginx:1.27' } } })

/** Releases of the stack `shop` on a host, in the formats of the lists of all stacks and of this stack. */
const releases = ['2', '1', release(1), '2', release(2), ''].join('\0')

/** Returns answers to the scripts and the compose commands of stacks; the host has two releases of `shop`. */
function answerForStacks(command: string): Answer | undefined {
  if (command.includes('docker compose version --short')) return { stdout: 'root\n2.40.3\n/root' }
  if (command.includes('for folder in [a-z0-9]*')) return { stdout: `shop\0${releases}\0` }
  if (command.includes('for folder in [0-9]*')) {
    return { stdout: command.includes('/0123abcd/shop') ? releases : '\0' }
  }
  if (command.includes('for file in model.json')) return { stdout: `${model}\0\0{}\0` }
  if (command.includes('xargs -0 -n 300 sh -c')) return { stdout: '\0\0\0\0' }
  if (command.includes('for file do [ -r')) return {}
  if (command.includes('find root -depth')) return { stdout: 'kept\n' }
  if (command.includes('--hash')) return { stdout: `web ${'d'.repeat(64)}\n` }
  return command.includes('--format json') ? { stdout: model } : undefined
}

/** Returns the answer to a command, chosen by its text and its input. */
function answer(command: string, input: string, hostKey: string): Answer {
  const ofStacks = answerForStacks(command)
  if (ofStacks !== undefined) return ofStacks
  if (input.includes(probeScript.trim())) return { stdout: facts }
  if (input.includes('apt-mark showhold')) return { stdout: packages }
  if (input.includes(stageHostKey.trim()))
    return { stdout: `fleet old=${hostKey}\nfleet new=${hostKey}\n` }
  if (input.includes(installHostKey.trim())) return {}
  if (command.includes('modules.builtin')) return { stdout: 'ip_vs\n' }
  if (command.includes('boot_id')) return { stdout: `${(boots += 1)}` }
  if (command.includes('command -v docker')) return { stdout: 'direct\ndirect\n/root' }
  if (command.includes('mkdir -- "$folder"')) return { stdout: '/tmp/fleet-folder\0' }
  if (command.includes('nowhere')) return { stderr: 'Error: no such thing: nowhere\n', code: 7 }
  if (command.includes('docker')) return { stdout: 'docker answers\n' }
  return { stdout: input === '' ? 'the host answers\n' : '' }
}

/** Starts the host; it generates a host key unless one is given. */
export async function startFakeHost(privateKey?: string): Promise<FakeHost> {
  let commands: string[] = []
  let isReal = false
  const sshd = await startLoopbackSshd({
    privateKey,
    login: (attempt) => attempt.accept(),
    engine: answerAsEngine,
    exec(command, channel) {
      commands.push(command)
      if (isReal) {
        const child = spawn('sh', ['-c', command])
        channel.pipe(child.stdin).on('error', () => {})
        child.stdout.pipe(channel, { end: false })
        child.stderr.pipe(channel.stderr, { end: false })
        child.on('close', (code) => {
          channel.exit(code ?? 1)
          channel.end()
        })
        return
      }
      const [mark] = /fleet-[0-9a-f-]{36}/.exec(command) ?? []
      if (command.includes('flock -n 9')) channel.write(`${mark}\nheld\n`) // the lock is held until its input ends
      const chunks: Buffer[] = []
      channel.on('data', (chunk: Buffer) => void chunks.push(chunk))
      channel.on('end', () => {
        if (channel.writableEnded || channel.stderr.writableEnded) return // the client has disconnected
        const input = Buffer.concat(chunks).toString()
        const isLock = command.includes('flock -n 9')
        const {
          stdout = '',
          stderr = '',
          code = 0,
        } = isLock ? {} : answer(command, input, sshd.hostKey)
        if (mark !== undefined && !isLock) channel.write(`${mark}\n`)
        channel.write(stdout)
        channel.stderr.write(stderr)
        channel.exit(code)
        channel.end()
      })
    },
  })
  return {
    port: sshd.port,
    hostKey: sshd.hostKey,
    commands() {
      const seen = commands
      commands = []
      return seen
    },
    runForReal: () => void (isReal = true),
    [Symbol.asyncDispose]: () => sshd[Symbol.asyncDispose](),
  }
}
