import { join } from 'node:path'
import type { AnyAuthMethod, KeyboardInteractiveAuthMethod } from 'ssh2'
import { messageOf } from '../../../errors.ts'
import { fingerprint, formatPublicKey } from '../host-keys/host-key.ts'
import { readAgent } from './agent.ts'
import type { KeyAnswers } from './key-answers.ts'
import type { LoginReport } from './login-errors.ts'
import {
  type PrivateKey,
  type PublicKey,
  type Sign,
  certifiedKey,
  chooseAlgorithm,
  isCertificate,
  validityOf,
} from './key.ts'
import { type KeyFile, readCertificate, readKeyFile } from './key-file.ts'
import type { SshSettings } from '../config/settings.ts'
import { OneKeyAgent, type UserAuth } from './userauth-protocol.ts'
import { ignored, trace, traceError } from '../../../os/trace.ts'
import { type Environment, homeOf } from '../../../os/environment.ts'

/** A question for the user. */
export interface Question {
  readonly text: string
  /** The login (`user@host`) whose server sent the text; absent if the text is fleet's own. */
  readonly from?: string
  /** Text from the host to show before the question. */
  readonly notes?: readonly string[]
  /** Whether to hide the typed text. */
  readonly secret: boolean
  /** Set for a notice that needs no answer, such as a request to touch a security key. */
  readonly isNotice?: true
  /** Questions of one command with the same value share one answer, even across connections. */
  readonly sharedAs?: string
}

/** Asks the user a question. Rejects if there is no answer. */
export type Prompt = (question: Question) => Promise<string>

/** The credentials and settings of a login. */
export interface Credentials {
  readonly user: string
  /** The address of the host, shown in password prompts. */
  readonly host: string
  /** Key files to try first, in order. */
  readonly identityFiles: readonly string[]
  /** Certificate files, in addition to the `-cert.pub` files next to the key files. */
  readonly certificateFiles: readonly string[]
  /** The fingerprint of the key that is known to work: the agent's key with this fingerprint is offered first. */
  readonly key?: string | undefined
  /** The socket of the agent. */
  readonly agent: string | undefined
  /** The environment, in which HOME is looked up. */
  readonly env: Environment
  readonly prompt?: Prompt | undefined
  readonly settings?: SshSettings | undefined
  /** Stops the timer during work that may wait for the user: an agent may ask for confirmation. */
  readonly pauseDuring: <Value>(work: () => Promise<Value>) => Promise<Value>
  readonly signal: AbortSignal
}

/** The authentication attempts of a login, in order. */
export type Attempts = AsyncGenerator<AnyAuthMethod, void, void>

/** The default key files, in the order of ssh(1), except those that only an agent can use. */
const defaultKeyNames = ['id_ed25519', 'id_ecdsa', 'id_rsa'] as const
/** How many times to ask for a passphrase or, by default, for a password, as with ssh's NumberOfPasswordPrompts. */
const prompts = 3
/**
 * How long an agent may take, in milliseconds: to list its keys, and to sign, which may require the user's
 * confirmation.
 */
const [listTime, signTime] = [5_000, 120_000]

/** A key to offer. Its private part may be in a file or in an agent. */
interface Candidate {
  readonly key: PublicKey
  readonly label: string
  readonly sign: Sign
}

const idOf = ({ blob }: PublicKey): string => blob.toString('base64')

/**
 * Returns a function that asks for the passphrase before it signs. The function is not called until the server has
 * accepted the key, so the user does not have to type the passphrase unnecessarily.
 */
function signAfterAsking(
  file: string,
  unlock: (passphrase: string) => PrivateKey | undefined,
  prompt: Prompt,
): Sign {
  return async (data, algorithm) => {
    for (let asked = 0; asked < prompts; asked += 1) {
      const text = `${asked === 0 ? '' : 'Wrong passphrase. '}Passphrase for ${file}:`
      const key = unlock(await prompt({ text, secret: true, sharedAs: `${file} ${asked}` }))
      if (key) return key.sign(data, algorithm)
    }
    throw new Error('wrong passphrase')
  }
}

/** A key that the agent holds. */
interface AgentKey extends PublicKey {
  readonly comment: string
  readonly sign: Sign
}

/** Returns a function that reads the agent's keys when it is first called. */
function openAgent(
  { agent: socket, signal, pauseDuring }: Credentials,
  report: LoginReport,
): () => Promise<readonly AgentKey[]> {
  let keys: Promise<readonly AgentKey[]> | undefined
  const within = (ms: number) => AbortSignal.any([signal, AbortSignal.timeout(ms)])
  const list = async (path: string) => {
    try {
      const found = await readAgent(path, within(listTime))
      return found.map(({ sign, ...key }) => ({
        ...key,
        sign: (data: Buffer, algorithm: string) =>
          pauseDuring(() => sign(data, algorithm, within(signTime))),
      }))
    } catch (error) {
      signal.throwIfAborted()
      report.agent = `the keys in the agent at ${path} (${messageOf(error)})`
      report.skipped.push(report.agent)
      traceError('ssh', `read the keys in the agent at ${path}`, error)
      return []
    }
  }
  return () => (keys ??= socket ? list(socket) : Promise.resolve([]))
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
    return { key, label: file, sign: key.sign }
  }
  const { public: key, unlock } = content
  const inAgent = agent.find((one) => idOf(certifiedKey(one)) === idOf(certifiedKey(key)))
  if (inAgent) return { key, label: `${file}, through the agent`, sign: inAgent.sign }
  if (unlock === undefined) return 'the agent does not have the private key'
  if (prompt === undefined) return 'the key requires a passphrase'
  return { key, label: file, sign: signAfterAsking(file, unlock, prompt) }
}

const fingerprintOf = (key: PublicKey): string =>
  fingerprint(formatPublicKey(certifiedKey(key).blob))

/** Reads the certificates in the given files. Each certificate is offered together with its key. */
async function readCertificates(files: readonly string[]): Promise<readonly PublicKey[]> {
  const found = await Promise.all(files.map(readCertificate))
  return found.filter((key) => key !== undefined)
}

async function* candidates(
  credentials: Credentials,
  report: LoginReport,
): AsyncGenerator<Candidate> {
  const { env, prompt, identityFiles, settings, key: known } = credentials
  const named = new Set<string>()
  const agent = openAgent(credentials, report)
  const certificates = await readCertificates(credentials.certificateFiles)
  async function* fromFile(file: string, wanted: boolean) {
    const content = await readKeyFile(file)
    if (content === undefined) {
      if (wanted) report.skipped.push(`${file} (no such file)`)
      return
    }
    if ('unusable' in content && content.remedy !== undefined) report.remedies.push(content.remedy)
    const found = candidateOf(file, content, 'public' in content ? await agent() : [], prompt)
    if (typeof found === 'string') {
      report.skipped.push(`${file} (${found})`)
      return
    }
    if (wanted) named.add(idOf(certifiedKey(found.key)))
    const beside = await readCertificates([`${file.replace(/\.pub$/, '')}-cert.pub`])
    for (const certificate of [...beside, ...certificates]) {
      if (idOf(certifiedKey(certificate)) === idOf(found.key))
        yield { ...found, key: certificate, label: `certificate for ${found.label}` }
    }
    yield found
  }
  for (const file of identityFiles) yield* fromFile(file, true)
  const held = await agent()
  const isAllowed = (key: PublicKey) =>
    settings?.identitiesOnly !== true || named.has(idOf(certifiedKey(key)))
  const allowed = held.filter(isAllowed)
  const rank = (key: PublicKey) =>
    (known !== undefined && fingerprintOf(key) === known ? 2 : 0) + Number(isCertificate(key))
  for (const key of allowed.toSorted((a, b) => rank(b) - rank(a))) {
    const { comment, sign } = key
    for (const certificate of certificates) {
      if (idOf(certifiedKey(certificate)) === idOf(key))
        yield { key: certificate, label: `certificate for agent key: ${comment}`, sign }
    }
    yield {
      key,
      label: `${isCertificate(key) ? 'certificate for ' : ''}agent key: ${comment}`,
      sign,
    }
  }
  if (settings?.identitiesOnly === true) return
  const home = homeOf(env)
  for (const name of defaultKeyNames) yield* fromFile(join(home, '.ssh', name), false)
}

/** Passes the server's questions to the user, one at a time (RFC 4256). All text comes from the server. */
const keyboardInteractive = (
  { user: username, host }: Credentials,
  prompt: Prompt,
): KeyboardInteractiveAuthMethod => ({
  type: 'keyboard-interactive',
  username,
  prompt(name, instructions, _language, questions, finish) {
    const from = `${username}@${host}`
    const askAll = async () => {
      const answers: string[] = []
      for (const [index, { prompt: text, echo }] of questions.entries()) {
        const notes = index === 0 ? [name, instructions].filter(Boolean) : []
        answers.push(await prompt({ text, from, notes, secret: !echo }))
      }
      return answers
    }
    // If a question was not answered, the whole attempt has already ended.
    askAll().then(finish, ignored('ssh', 'send the answers to the server'))
  },
})

async function* askUser(credentials: Credentials, prompt: Prompt, auth: UserAuth): Attempts {
  const { user, host, settings } = credentials
  const most = settings?.passwordPrompts ?? prompts
  const methods = (settings?.methods ?? (['keyboard-interactive', 'password'] as const)).filter(
    (method) => method !== 'publickey',
  )
  const asked = { 'keyboard-interactive': 0, password: 0 }
  for (;;) {
    const { left } = auth.progress()
    const isOpen = (method: keyof typeof asked) =>
      asked[method] < most && (left === undefined || left.includes(method))
    const method = methods.find(isOpen)
    if (method === undefined) return
    asked[method] += 1
    if (method === 'keyboard-interactive') {
      trace('ssh', `log in as ${user} with keyboard-interactive authentication`)
      yield keyboardInteractive(credentials, prompt)
    } else {
      trace('ssh', `log in as ${user} with a password`)
      const password = await prompt({ text: 'Password:', from: `${user}@${host}`, secret: true })
      yield { type: 'password', username: user, password }
    }
    if (auth.progress().partial) Object.assign(asked, { [method]: 0 })
  }
}

const formatTime = (ms: number): string => new Date(ms).toISOString().replace('.000', '')

/**
 * Describes the validity of a certificate, to show if the server rejects it: servers do not tell the client that a
 * certificate has expired.
 */
function describeValidity(key: PublicKey): { readonly note: string; readonly remedy?: string } {
  const validity = validityOf(key)
  if (validity === undefined) return { note: '' }
  const { from, to } = validity
  if (to <= Date.now()) {
    const remedy = "get a new certificate, or correct this computer's clock if it is wrong"
    return { note: `, which expired at ${formatTime(to)}`, remedy }
  }
  if (from > Date.now()) {
    const remedy =
      "wait until the certificate is valid, or correct this computer's clock if it is wrong"
    return { note: `, which is not valid before ${formatTime(from)}`, remedy }
  }
  const remedy =
    'check on the host that the clock is correct (date) and that sshd trusts the certificate authority for this user (TrustedUserCAKeys)'
  return {
    note: Number.isFinite(to) ? `, valid from ${formatTime(from)} to ${formatTime(to)}` : '',
    remedy,
  }
}

/**
 * Tries, in order: the identity files, the agent's keys, the default keys in ~/.ssh, and, if the user can be prompted,
 * keyboard-interactive and password authentication. Skips keys that have already been offered or that the server has
 * rejected on an earlier connection. Records the attempts in `report`.
 */
export async function* logIn(
  credentials: Credentials,
  report: LoginReport,
  auth: UserAuth,
  answers: KeyAnswers,
): Attempts {
  const { user: username, prompt, settings = {} } = credentials
  const seen = new Set<string>()
  const { methods, algorithms } = settings
  const usesKeys = methods?.includes('publickey') ?? true
  const takesKeys = () => usesKeys && (auth.progress().left?.includes('publickey') ?? true)
  for await (const { key, label, sign } of candidates(credentials, report)) {
    if (!takesKeys()) break
    const id = idOf(key)
    if (seen.has(id)) continue
    seen.add(id)
    const print = fingerprintOf(key)
    const validity = describeValidity(key)
    const name = `${print} (${label}${validity.note})`
    const unusable = answers.whyUnusable(id)
    if (unusable !== undefined) report.skipped.push(`${name} (${unusable})`)
    const noteRejected = () => {
      report.offered.push(name)
      if (validity.remedy !== undefined) report.remedies.push(validity.remedy)
    }
    if (answers.isRejected(id)) noteRejected()
    if (unusable !== undefined || answers.isRejected(id)) continue
    const offer = chooseAlgorithm(key, auth.signatureAlgorithms())
    if (offer === undefined) {
      report.skipped.push(`${name} (the server does not support RSA keys with SHA-2)`)
      continue
    }
    if (algorithms?.publicKey?.includes(offer.offered) === false) {
      report.skipped.push(
        `${name} (PubkeyAcceptedAlgorithms in your SSH configuration excludes ${offer.offered})`,
      )
      continue
    }
    let failure: unknown
    const failed = (error: unknown) => (failure = error)
    const signIfAccepted: Sign = (data, algorithm) => {
      answers.accepted()
      return sign(data, algorithm)
    }
    const agent = new OneKeyAgent(key, { offer, sign: signIfAccepted, auth, failed })
    trace('ssh', `offer the key ${name} as ${username}`)
    answers.offer({ id, name, fingerprint: print })
    yield { type: 'agent', username, agent }
    const { partial } = auth.progress()
    const why = failure === undefined ? undefined : messageOf(failure)
    answers.answered(!partial, why)
    if (partial) report.accepted.push(name)
    else if (why === undefined) noteRejected()
    else report.skipped.push(`${name} (${why})`)
  }
  // If no key was offered, only this attempt shows which methods the server accepts.
  if (auth.progress().left === undefined) yield { type: 'none', username }
  if (prompt) yield* askUser(credentials, prompt, auth)
  report.left = auth.progress().left ?? []
}
