import { UserError } from '../../../errors.ts'
import { parseModel } from '../../compose/project-model.ts'
import type { StackModel } from '../stack-model.ts'

/** Keys of a service with which compose reads files, runs programs or takes variables where it runs. */
const localKeys = [
  'build',
  'credential_spec',
  'develop',
  'env_file',
  'extends',
  'label_file',
  'provider',
]

/** Keys of a model that are deployed. Compose reads other files for `include`, and runs programs for `models`. */
const knownKeys = new Set(['name', 'services', 'networks', 'volumes', 'configs', 'secrets'])

/** Whether a text has a variable that compose would replace by one of its environment. `$$` is a dollar sign. */
const hasVariable = (text: string): boolean => text.replaceAll('$$', '').includes('$')

/** Whether any text in a value satisfies a condition, also a key. */
function someText(value: unknown, matches: (text: string) => boolean): boolean {
  if (typeof value === 'string') return matches(value)
  if (Array.isArray(value)) return value.some((item) => someText(item, matches))
  if (typeof value !== 'object' || value === null) return false
  return Object.entries(value).some(([key, item]) => matches(key) || someText(item, matches))
}

/** Why a model could take something of this computer; undefined if it cannot. */
function localUse(model: StackModel): string | undefined {
  const other = Object.keys(model).find((key) => !knownKeys.has(key) && !key.startsWith('x-'))
  if (other !== undefined) return `it has the key ${other}`
  for (const [name, service] of Object.entries(model.services)) {
    const key = localKeys.find((one) => Object.hasOwn(service, one))
    if (key !== undefined) return `service ${name} has the key ${key}`
    if (Object.values(service.environment ?? {}).includes(null)) {
      return `service ${name} has a variable without a value`
    }
    const profile = service.security_opt?.find(
      (option) =>
        /^seccomp[:=]/.test(option) && !/^seccomp[:=](?:unconfined|builtin)$/.test(option),
    )
    if (profile !== undefined) return `service ${name} has the seccomp profile ${profile}`
  }
  return someText(model, hasVariable) ? 'it has a variable' : undefined
}

/**
 * Parses a deployed model that a host has stored. The host is not trusted, and compose may run on this computer: throws kind `failed`
 * for a model with which compose would read files or variables, or run programs. `source` names it in messages.
 */
export function parseStoredModel(text: string, source: string): StackModel {
  const model = parseModel(text) as StackModel | undefined
  if (model?.services === undefined) {
    throw new UserError('failed', `${source} has no model that fleet can read`, {
      hint: 'deploy the stack again: fleet deploy',
    })
  }
  const why = localUse(model)
  if (why === undefined) return model
  throw new UserError(
    'failed',
    `${source} was not used, because it could read this computer: ${why}`,
    {
      hint: 'fleet stores no such model: check who has changed it on the host',
    },
  )
}
