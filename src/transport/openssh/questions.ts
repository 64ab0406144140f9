import { chmod, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { shellQuote } from '../../os/shell-quote.ts'
import { ignored } from '../../os/trace.ts'
import type { Prompt, Question } from '../ssh/connect.ts'
import { listenAt } from '../sockets/unix-socket.ts'

/**
 * A question that ssh passes to its askpass program (ssh(1), SSH_ASKPASS), and the kind of answer that it expects
 * (SSH_ASKPASS_PROMPT).
 */
interface Asked {
  readonly text: string
  readonly kind: string
}

/**
 * The askpass program, as JavaScript. It passes the question to the process that started ssh, and prints the answer. It
 * contains no single quotes, because it is quoted for the shell.
 */
const helper = `
const socket = require("node:net").connect(process.argv[1])
const question = { text: process.argv[2] || "", kind: process.env.SSH_ASKPASS_PROMPT || "" }
let reply = ""
socket.on("data", (chunk) => (reply += chunk)).on("error", () => process.exit(1)).on("close", () => {
  if (reply === "") process.exit(1)
  process.stdout.write(JSON.parse(reply) + "\\n")
})
socket.write(JSON.stringify(question) + "\\n")
`

/**
 * Asks the user a question from ssh. Resolves to undefined if the user does not answer; ssh then treats the answer as
 * no.
 */
async function answer(
  { text: asked, kind }: Asked,
  times: Map<string, number>,
  prompt: Prompt,
): Promise<string | undefined> {
  const text = asked.trim()
  if (kind === 'none') {
    await prompt({ text, secret: false, isNotice: true })
    return undefined
  }
  if (kind === 'confirm') {
    const reply = await prompt({ text: `${text.split('\n')[0] ?? ''} (yes or no)`, secret: false })
    return /^y(es)?$/i.test(reply.trim()) ? 'yes' : undefined
  }
  const count = times.get(text) ?? 0
  times.set(text, count + 1)
  return prompt(questionOf(text, count))
}

/**
 * Converts a question from ssh to a question for the user. `count` is how many times the question has been asked
 * before. Text from the host is preceded by the login: `(user@host) TEXT`.
 */
export function questionOf(text: string, count: number): Question {
  const ofHost = /^\(([^()\s]+@[^()]*?)\) ([^]*)$/.exec(text)
  if (ofHost !== null) return { text: ofHost[2] ?? '', from: ofHost[1] ?? '', secret: true }
  const password = /^(\S+@\S+)'s password:$/.exec(text)
  if (password !== null) return { text: 'Password:', from: password[1] ?? '', secret: true }
  const passphrase = /^Enter passphrase for key '([^]*)':$/.exec(text)
  if (passphrase !== null) {
    // The same question as in fleet's own client, so that both share the answer.
    const [, file = ''] = passphrase
    const wrong = count === 0 ? '' : 'Wrong passphrase. '
    return { text: `${wrong}Passphrase for ${file}:`, secret: true, sharedAs: `${file} ${count}` }
  }
  const again = count === 0 ? '' : 'Wrong. '
  return { text: `${again}${text}`, secret: true, sharedAs: `${text} ${count}` }
}

/** A server that answers questions from ssh. */
export interface Questions extends AsyncDisposable {
  /** Environment variables that make ssh ask this server. */
  readonly env: Readonly<Record<string, string>>
}

/**
 * Starts a server that answers questions from ssh; ssh must be started with the server's `env`. The server's files are
 * in `folder`.
 */
export async function answerQuestions(folder: string, prompt: Prompt): Promise<Questions> {
  const times = new Map<string, number>()
  const server = createServer((client) => {
    let line = ''
    client.setEncoding('utf8').on('error', ignored('ssh', 'answer a prompt from ssh'))
    client.on('data', (chunk: string) => {
      line += chunk
      if (!line.endsWith('\n')) return
      answer(JSON.parse(line) as Asked, times, prompt).then(
        (reply) => client.end(reply === undefined ? '' : JSON.stringify(reply)),
        () => client.destroy(), // a prompt without an answer ends the attempt
      )
    })
  })
  const socket = join(folder, 'ask')
  await listenAt(server, socket)
  const script = join(folder, 'askpass')
  const command = [process.execPath, '-e', helper, socket].map(shellQuote).join(' ')
  await writeFile(script, `#!/bin/sh\nunset NODE_OPTIONS\nexec ${command} "$1"\n`)
  await chmod(script, 0o700)
  return {
    env: { SSH_ASKPASS: script, SSH_ASKPASS_REQUIRE: 'force' },
    async [Symbol.asyncDispose]() {
      server.close()
    },
  }
}
