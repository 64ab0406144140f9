import { spawn } from 'node:child_process'
import { installHostKey, stageHostKey } from '../../../src/provision/host/host-key.ts'
import { probeScript } from '../../../src/provision/host/probe.ts'
import { startLoopbackSshd } from '../ssh/loopback-sshd.ts'
import { answerAsEngine } from './fake-engine.ts'

/** A host whose commands, scripts and engine are answered in this process. Everybody may log in. */
export interface FakeHost extends AsyncDisposable {
  readonly port: number
  readonly hostKey: string
  /** The command lines that were run on it since this was read last. */
  commands(): readonly string[]
  /** Runs commands with the shell of this computer from now on: for copies, which speak with programs of the host. */
  runForReal(): void
}

/** What the probe of a host prints for a Debian with an engine. */
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

interface Answer {
  readonly stdout?: string
  readonly stderr?: string
  readonly code?: number
}

/** Every look at a host finds that it has booted since the last one. */
let boots = 0

/** Answers a command by its words and its input. */
function answer(command: string, input: string, hostKey: string): Answer {
  if (input.includes(probeScript.trim())) return { stdout: facts }
  if (input.includes(stageHostKey.trim()))
    return { stdout: `fleet old=${hostKey}\nfleet new=${hostKey}\n` }
  if (input.includes(installHostKey.trim())) return {}
  if (command.includes('boot_id')) return { stdout: `${(boots += 1)}` }
  if (command.includes('command -v docker')) return { stdout: 'direct\ndirect\n/root' }
  if (command.includes('mkdir -- "$folder"')) return { stdout: '/tmp/fleet-folder\0' }
  if (command.includes('nowhere')) return { stderr: 'Error: no such thing: nowhere\n', code: 7 }
  if (command.includes('docker')) return { stdout: 'docker answers\n' }
  return { stdout: input === '' ? 'the host answers\n' : '' }
}

/** Starts the host; it makes itself a host key where it is given none. */
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
      const chunks: Buffer[] = []
      channel.on('data', (chunk: Buffer) => void chunks.push(chunk))
      channel.on('end', () => {
        if (channel.writableEnded || channel.stderr.writableEnded) return // the client has gone
        const input = Buffer.concat(chunks).toString()
        const { stdout = '', stderr = '', code = 0 } = answer(command, input, sshd.hostKey)
        const [mark] = /fleet-[0-9a-f-]{36}/.exec(command) ?? []
        if (mark !== undefined) channel.write(`${mark}\n`)
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
