import { homedir } from 'node:os'
import { join } from 'node:path'
import type { AnyAuthMethod, KeyboardInteractiveAuthMethod, ParsedKey } from 'ssh2'
import { messageOf } from '../errors.ts'
import { fingerprint, formatPublicKey } from './host-keys.ts'
import { type AgentKey, KeyHolder, type Sign, readAgent } from './ssh-agent.ts'
import { type KeyFile, readKeyFile } from './ssh-key-file.ts'

/** A question for the person. */
export interface Question {
  readonly text: string
  /** What is typed is not shown. */
  readonly secret: boolean
  /** Questions of one command that share this have one answer, whichever connections ask them. */
  readonly sharedAs?: string
}

/** Asks the person; rejects when there is no answer. */
export type Prompt = (question: Question) => Promise<string>

/** What there is to log in with. */
export interface Credentials {
  readonly user: string
  /** For questions: who asks for the password. */
  readonly host: string
  /** Key files to try first, in order. */
  readonly identityFiles: readonly string[]
  /** Where SSH_AUTH_SOCK and HOME are looked up. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly prompt?: Prompt | undefined
}

/** The ways to log in, in order. `next` is told what the server still takes; undefined: nobody knows yet. */
export type Attempts = AsyncGenerator<AnyAuthMethod, void, readonly string[] | undefined>

/** ssh(1)'s order, less what ssh2 cannot sign with. */
const defaultKeyNames = ['id_ed25519', 'id_ecdsa', 'id_rsa'] as const
/** As ssh's NumberOfPasswordPrompts. */
const prompts = 3

/** A key to offer, wherever its private part is. */
interface Candidate {
  readonly key: ParsedKey
  readonly label: string
  readonly method: (user: string) => AnyAuthMethod
}

const idOf = (key: ParsedKey): string => key.getPublicSSH().toString('base64')
const held = (key: ParsedKey, label: string, sign: Sign): Candidate => ({
  key,
  label,
  method: (username) => ({ type: 'agent', username, agent: new KeyHolder(key, sign) }),
})

/** Asks for the passphrase once the server has said that it would take the key, so nobody types one in vain. */
function signAfterAsking(
  file: string,
  unlock: (passphrase: string) => ParsedKey | undefined,
  prompt: Prompt,
): Sign {
  return async (data, hash) => {
    for (let asked = 0; asked < prompts; asked += 1) {
      const text = `${asked === 0 ? '' : 'That did not open it. '}Passphrase of ${file}:`
      const key = unlock(await prompt({ text, secret: true, sharedAs: `${file} ${asked}` }))
      if (key) return key.sign(data, hash)
    }
    throw new Error(`no passphrase opened ${file}`)
  }
}

/** The agent's keys, asked for when they are first needed. */
function openAgent(
  socket: string | undefined,
  skipped: string[],
): () => Promise<readonly AgentKey[]> {
  let keys: Promise<readonly AgentKey[]> | undefined
  return () => {
    keys ??= socket
      ? readAgent(socket).catch((error: unknown) => {
          skipped.push(`the agent's keys (${messageOf(error)})`)
          return []
        })
      : Promise.resolve([])
    return keys
  }
}

function candidateOf(
  file: string,
  content: KeyFile,
  agent: readonly AgentKey[],
  prompt: Prompt | undefined,
): Candidate | string {
  if ('unusable' in content) return content.unusable
  if ('private' in content) {
    const { private: key } = content
    return { key, label: file, method: (username) => ({ type: 'publickey', username, key }) }
  }
  const { public: key, unlock } = content
  const inAgent = agent.find((one) => idOf(one.key) === idOf(key))
  if (inAgent) return held(key, `${file}, by the agent`, inAgent.sign)
  if (unlock === undefined) return 'the agent does not hold its private part'
  if (prompt === undefined) return 'it needs a passphrase'
  return held(key, file, signAfterAsking(file, unlock, prompt))
}

async function* candidates(
  { identityFiles, env, prompt }: Credentials,
  skipped: string[],
): AsyncGenerator<Candidate> {
  const agent = openAgent(env['SSH_AUTH_SOCK'], skipped)
  async function* fromFile(file: string, wanted: boolean) {
    const content = await readKeyFile(file)
    if (content === undefined) {
      if (wanted) skipped.push(`${file} (there is no such file)`)
      return
    }
    const found = candidateOf(file, content, 'public' in content ? await agent() : [], prompt)
    if (typeof found === 'string') skipped.push(`${file} (${found})`)
    else yield found
  }
  for (const file of identityFiles) yield* fromFile(file, true)
  for (const { key, sign } of await agent()) yield held(key, `agent: ${key.comment}`, sign)
  const home = env['HOME'] ?? homedir()
  for (const name of defaultKeyNames) yield* fromFile(join(home, '.ssh', name), false)
}

/** Passes the server's questions on, one after the other (RFC 4256). */
const keyboardInteractive = (username: string, prompt: Prompt): KeyboardInteractiveAuthMethod => ({
  type: 'keyboard-interactive',
  username,
  prompt(_name, instructions, _language, questions, finish) {
    const askAll = async () => {
      const answers: string[] = []
      for (const { prompt: question, echo } of questions) {
        const text = [instructions, question].filter(Boolean).join('\n')
        answers.push(await prompt({ text, secret: !echo }))
      }
      return answers
    }
    askAll().then(finish, () => {}) // whoever gave no answer has ended the whole attempt
  },
})

async function* askPerson(
  { user, host }: Credentials,
  prompt: Prompt,
  lastLeft: readonly string[] | undefined,
): Attempts {
  let left = lastLeft
  const allows = (method: string) => left === undefined || left.includes(method)
  for (let asked = 0; asked < prompts && allows('keyboard-interactive'); asked += 1)
    left = yield keyboardInteractive(user, prompt)
  for (let asked = 0; asked < prompts && allows('password'); asked += 1) {
    const password = await prompt({ text: `Password of ${user}@${host}:`, secret: true })
    left = yield { type: 'password', username: user, password }
  }
}

/**
 * Tries, in order: the identity files, the agent's keys, the usual keys of ~/.ssh, and, where somebody
 * can be asked, keyboard-interactive and the password. No key twice. Notes in `report` what was tried.
 */
export async function* logIn(
  credentials: Credentials,
  report: { offered: string[]; skipped: string[] },
): Attempts {
  const { user, prompt } = credentials
  const seen = new Set<string>()
  let left: readonly string[] | undefined
  for await (const { key, label, method } of candidates(credentials, report.skipped)) {
    if (left !== undefined && !left.includes('publickey')) break
    if (seen.has(idOf(key))) continue
    seen.add(idOf(key))
    report.offered.push(`${fingerprint(formatPublicKey(key.getPublicSSH()))} (${label})`)
    left = yield method(user)
  }
  if (prompt) yield* askPerson(credentials, prompt, left)
}
