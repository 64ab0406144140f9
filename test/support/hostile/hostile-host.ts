import type { IncomingMessage, ServerResponse } from 'node:http'
import { startLoopbackSshd } from '../ssh/loopback-sshd.ts'

/** Behavior of a host under an attacker's control. By default, the host is harmless, and its engine is empty. */
interface HostileBehaviour {
  /** Answers a request to the engine; the request's URL has no API version. */
  readonly engine?: (request: IncomingMessage, response: ServerResponse) => void
  /** Prompts of a keyboard-interactive login; without them, every login is accepted. */
  readonly questions?: {
    readonly name?: string
    readonly instructions?: string
    readonly texts: readonly string[]
  }
  /** Text that a command prints on stderr before it fails. */
  readonly errorOutput?: string
  /** Returns the output of a command that fleet parses, after the mark that fleet waits for. */
  readonly output?: (command: string) => string | Buffer
}

/** An SSH host on loopback that accepts all logins. */
export interface HostileHost extends AsyncDisposable {
  /** Changes the behavior. */
  behave(behaviour: HostileBehaviour): void
  /** Answers that were given to the prompts. */
  readonly answers: readonly string[]
  /** Returns the machine's entry with this name. */
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
      channel.stderr.write(behaviour.errorOutput ?? '')
      channel.exit(behaviour.errorOutput === undefined ? 0 : 1)
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
