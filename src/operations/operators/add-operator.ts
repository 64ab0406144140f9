import { readFile } from 'node:fs/promises'
import { UserError, fileProblemOf } from '../../errors.ts'
import type { OperatorEntry } from '../../machine/schema.ts'
import { parseSelector } from '../../machine/selector.ts'
import { parsePublicKey } from '../../transport/ssh/host-keys/host-key.ts'
import type { Context } from '../context.ts'
import { fetchGithubKeys } from './fetch-github-keys.ts'

/** An operator to authorize, and the machines on which to do so. */
export interface OperatorRequest {
  readonly name: string
  /** A file with the public key. */
  readonly file?: string | undefined
  /** The GitHub user whose keys are to be fetched. */
  readonly github?: string | undefined
  /** Selectors for the machines; if empty, all machines are selected. */
  readonly on: readonly string[]
}

/** Key types in order of preference: GitHub may return several keys for a user. */
const kinds = ['sk-ssh-ed25519@openssh.com', 'ssh-ed25519', 'sk-ecdsa-', 'ecdsa-', 'ssh-rsa']

const rankOf = (key: string): number => {
  const rank = kinds.findIndex((kind) => key.startsWith(kind))
  return rank < 0 ? kinds.length : rank
}

async function readKeyLines({ file, github }: OperatorRequest, context: Context) {
  if ((file === undefined) === (github === undefined)) {
    throw new UserError('usage', 'specify either a key file or a GitHub user', {
      hint: 'use --key FILE or --github USER',
    })
  }
  if (github !== undefined) {
    const lines = await fetchGithubKeys(github, context.signal)
    return { from: `GitHub account ${github}`, lines }
  }
  const content = await readFile(file ?? '', 'utf8').catch((error: unknown) => {
    throw new UserError('usage', `cannot read ${file}: ${fileProblemOf(error)}`)
  })
  return { from: file ?? '', lines: content.split('\n') }
}

/**
 * Picks the preferred public key from text that may contain several. Throws for a private key, before anything is
 * stored.
 */
function pickKey(from: string, lines: readonly string[]): string {
  if (lines.some((line) => line.includes('PRIVATE KEY'))) {
    throw new UserError('usage', `${from} is a private key`, {
      hint: `specify the public key: ${from}.pub`,
    })
  }
  const keys = lines.flatMap((line) => parsePublicKey(line) ?? [])
  const [best] = keys.toSorted((a, b) => rankOf(a) - rankOf(b))
  if (best !== undefined) return best
  throw new UserError('usage', `there is no public key in ${from}`)
}

/** Adds an operator's key to the inventory, or replaces it; `fleet apply` authorizes it on the hosts. */
export async function addOperator(
  context: Context,
  request: OperatorRequest,
): Promise<OperatorEntry> {
  const { name, on } = request
  parseSelector(on)
  const { from, lines } = await readKeyLines(request, context)
  const key = `${pickKey(from, lines)} ${name}`
  const entry = on.length === 0 ? key : { key, on: [...on] }
  await (await context.inventory()).updateOperator(name, () => entry)
  return entry
}

/**
 * Removes an operator from the inventory; `fleet apply` revokes the key. Throws kind `usage` for an unknown operator.
 */
export async function removeOperator(context: Context, name: string): Promise<void> {
  await (
    await context.inventory()
  ).updateOperator(name, (entry) => {
    if (entry !== undefined) return undefined
    throw new UserError('usage', `there is no operator called ${JSON.stringify(name)}`, {
      hint: 'to list the operators: fleet operator ls',
    })
  })
}
