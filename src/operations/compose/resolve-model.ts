import type { CommandResult } from '../../transport/run.ts'
import { type ComposeCommand, mayNameServices } from './compose-words.ts'
import { type ProjectModel, parseModel, pickServices } from './project-model.ts'

/** Runs `docker compose FLAGS config WORDS` and collects what it prints; of all profiles, or of those that were asked for. */
export type AskConfig = (words: readonly string[], allProfiles?: boolean) => Promise<CommandResult>

/** What compose said of a project. */
export type Resolved =
  | { readonly model: ProjectModel }
  /** It refused; its words are for the person. `stderr` is empty where it said nothing. */
  | { readonly refusal: CommandResult }

/** Has compose resolve a project. Env files are left for the command itself to read, where this compose can leave them. */
export async function resolveModel(ask: AskConfig): Promise<Resolved> {
  const words = ['--format', 'json', '--no-consistency']
  let answer = await ask([...words, '--no-env-resolution'])
  if (answer.code !== 0 && answer.stderr.includes('unknown flag')) answer = await ask(words)
  const model = answer.code === 0 ? parseModel(answer.stdout) : undefined
  return model === undefined ? { refusal: answer } : { model }
}

/** The same of all services, whatever their profiles. */
export const resolveAllServices = (ask: AskConfig): Promise<Resolved> =>
  resolveModel((words) => ask(words, true))

/** Has compose resolve what a command may start: what is active, and services that it names whose profile is not. */
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
