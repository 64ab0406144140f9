import type { IncomingMessage, ServerResponse } from 'node:http'
import { startLoopbackSshd } from '../ssh/loopback-sshd.ts'

/** What a host in an attacker's hands does. Whatever is absent it does as a host would whose engine has nothing. */
interface HostileBehaviour {
  /** Answers a request to its engine; the URL is without the version. */
  readonly engine?: (request: IncomingMessage, response: ServerResponse) => void
  /** What a keyboard-interactive login asks; without, everybody is let in. */
  readonly questions?: {
    readonly name?: string
    readonly instructions?: string
    readonly texts: readonly string[]
  }
  /** What a command prints on stderr before it fails. */
  readonly complaint?: string
  /** What a command that fleet reads prints, after the mark that fleet waits for. */
  readonly output?: (command: string) => string | Buffer
}

/** An SSH host on loopback that lets everybody in. */
export interface HostileHost extends AsyncDisposable {
  /** What it does from now on. */
  behave(behaviour: HostileBehaviour): void
  /** What was answered to its questions. */
  readonly answers: readonly string[]
  /** The machine's entry, under `name`. */
  entry(name: string): string
}

/** Starts the host. */
export async function startHostileHost(): Promise<HostileHost> {
  let behaviour: HostileBehaviour = {}
  const answers: string[] = []
  const sshd = await startLoopbackSshd({
    login(attempt) {
      const { questions } = behaviour
      if (questions === undefined) {
        if (attempt.method === 'none') attempt.reject(['publickey'])
        else attempt.accept()
      } else if (attempt.method === 'keyboard-interactive') {
        const asked = questions.texts.map((prompt) => ({ prompt, echo: false }))
        attempt.prompt(asked, questions.name ?? '', questions.instructions ?? '', (given) => {
          answers.push(...given)
          attempt.accept()
        })
      } else attempt.reject(['keyboard-interactive'])
    },
    exec(command, channel) {
      const [mark] = /fleet-[0-9a-f-]{36}/.exec(command) ?? []
      if (behaviour.output) channel.write(`a greeting\n${mark}\n`)
      if (behaviour.output) channel.write(behaviour.output(command))
      channel.stderr.write(behaviour.complaint ?? '')
      channel.exit(behaviour.complaint === undefined ? 0 : 1)
      channel.end()
    },
    engine(request, response) {
      if (behaviour.engine) behaviour.engine(request, response)
      else response.end('[]')
    },
  })
  const { port, hostKey } = sshd
  return {
    behave: (next) => void (behaviour = next),
    answers,
    entry: (name) => `  ${name}:
    driver: ssh
    options: { address: 127.0.0.1, user: bob, port: ${port} }
    host:
      phase: ready
      address: 127.0.0.1
      port: ${port}
      user: bob
      hostKeys: [${JSON.stringify(hostKey)}]
`,
    [Symbol.asyncDispose]: () => sshd[Symbol.asyncDispose](),
  }
}
