import type { CommandResult } from '../../transport/run.ts'
import { type ComposeCommand, mayNameServices } from './compose-words.ts'
import { type ProjectModel, parseModel, pickServices } from './project-model.ts'

/** Runs `docker compose FLAGS config WORDS` for all profiles or the selected ones; resolves to its output. */
export type AskConfig = (words: readonly string[], allProfiles?: boolean) => Promise<CommandResult>

/** The model of a project, or the result of the Compose command that could not resolve it. */
export type Resolved =
  | { readonly model: ProjectModel }
  /**
   * The result of a command that failed or printed no valid model. Its output is for the user; `stderr` may be empty.
   */
  | { readonly refusal: CommandResult }

/** Resolves a project with Compose. Environment files stay unresolved if this version of Compose supports that. */
export async function resolveModel(ask: AskConfig): Promise<Resolved> {
  const words = ['--format', 'json', '--no-consistency']
  let answer = await ask([...words, '--no-env-resolution'])
  if (answer.code !== 0 && answer.stderr.includes('unknown flag')) answer = await ask(words)
  const model = answer.code === 0 ? parseModel(answer.stdout) : undefined
  return model === undefined ? { refusal: answer } : { model }
}

/** Like {@link resolveModel}, but for all services, including those whose profiles are inactive. */
export const resolveAllServices = (ask: AskConfig): Promise<Resolved> =>
  resolveModel((words) => ask(words, true))

/** Resolves the services that a command may start: active services, and named services whose profile is inactive. */
export async function resolveFor(command: ComposeCommand, ask: AskConfig): Promise<Resolved> {
  const active = await resolveModel(ask)
  if (!('model' in active)) return active
  const known = active.model.services ?? {}
  const named = mayNameServices(command).filter((word) => !Object.hasOwn(known, word))
  const all = named.length === 0 ? active : await resolveAllServices(ask)
  if (!('model' in all)) return active
  const { services = {} } = pickServices(all.model, named)
  return { model: { ...active.model, services: { ...services, ...known } } }
}
