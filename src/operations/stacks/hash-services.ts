import { UserError } from '../../errors.ts'
import type { CommandResult } from '../../transport/run.ts'
import type { StackContainer } from './observe-stack.ts'
import { type StackModel, sharesNamespaces, withContainerIds } from './stack-model.ts'

/** Runs `docker compose --project-name NAME --file MODEL WORDS` without input; resolves to its output. */
export type AskCompose = (model: StackModel, words: readonly string[]) => Promise<CommandResult>

/** Parses the output of `config --hash '*'`, which has one `SERVICE HASH` pair per line. */
function parseHashes(output: string): ReadonlyMap<string, string> {
  const pairs = output.split('\n').flatMap((line) => {
    const [, name, hash] = /^(\S+) ([0-9a-f]{64})$/.exec(line.trim()) ?? []
    return name === undefined || hash === undefined ? [] : [[name, hash] as const]
  })
  return new Map(pairs)
}

/** Returns Compose's hash of each service of a deployed model. Throws kind `failed` with Compose's message. */
async function hashServices(
  ask: AskCompose,
  model: StackModel,
): Promise<ReadonlyMap<string, string>> {
  const { code, stdout, stderr } = await ask(model, ['config', '--hash', '*'])
  const hashes = parseHashes(stdout)
  const missing = Object.keys(model.services).find((name) => !hashes.has(name))
  if (code === 0 && missing === undefined) return hashes
  const why = stderr.trim() || `no hash was printed for service ${missing ?? ''}`
  throw new UserError('failed', `Compose cannot hash the services in stack ${model.name}: ${why}`)
}

/**
 * Returns a function that computes the hashes that containers of a deployed model must have. The hashes are the same on
 * all hosts, so Compose runs once. A model whose services share namespaces is hashed for each host, because Compose
 * then includes container IDs in the hashes.
 */
export function hashesFor(
  ask: AskCompose,
  model: StackModel,
): (containers: readonly StackContainer[]) => Promise<ReadonlyMap<string, string>> {
  if (!sharesNamespaces(model)) {
    let hashes: Promise<ReadonlyMap<string, string>> | undefined
    return () => (hashes ??= hashServices(ask, model))
  }
  return (containers) => {
    const first = (service: string): string | undefined =>
      containers.find((container) => container.service === service)?.id
    return hashServices(ask, withContainerIds(model, first))
  }
}
