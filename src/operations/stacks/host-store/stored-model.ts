import { UserError } from '../../../errors.ts'
import { parseModel, plainText } from '../../compose/project-model.ts'
import type { StackModel } from '../stack-model.ts'

/**
 * Keys of a service for which Compose does not read files, run programs or use logins on the computer where it runs.
 * Not included: build, credential_spec, develop, env_file, extends, label_file, models, provider, use_api_socket, and
 * keys that later versions add. Source: the Compose Specification, "Services".
 */
const harmlessKeys = new Set(
  `annotations attach blkio_config cap_add cap_drop cgroup cgroup_parent command configs container_name cpu_count cpu_percent
  cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpu_shares cpus cpuset depends_on deploy device_cgroup_rules devices dns
  dns_opt dns_search domainname entrypoint environment expose external_links extra_hosts gpus group_add healthcheck hostname
  image init ipc isolation labels links logging mac_address mem_limit mem_reservation mem_swappiness memswap_limit network_mode
  networks oom_kill_disable oom_score_adj pid pids_limit platform ports post_start pre_stop privileged profiles pull_policy
  read_only restart runtime scale secrets security_opt shm_size stdin_open stop_grace_period stop_signal storage_opt sysctls
  tmpfs tty ulimits user userns_mode uts volumes volumes_from working_dir`.split(/\s+/),
)

/**
 * Top-level keys of a deployed model. `include` is not one of them, because Compose would read other files, nor is
 * `models`, because Compose would run programs.
 */
const knownKeys = new Set(['name', 'services', 'networks', 'volumes', 'configs', 'secrets'])

/**
 * Whether a text contains a variable, which Compose would replace with its value in the environment. `$$` is a dollar
 * sign.
 */
const hasVariable = (text: string): boolean => text.replaceAll('$$', '').includes('$')

/** Whether any string in a value, including the keys of objects, satisfies a condition. */
function someText(value: unknown, matches: (text: string) => boolean): boolean {
  if (typeof value === 'string') return matches(value)
  if (Array.isArray(value)) return value.some((item) => someText(item, matches))
  if (typeof value !== 'object' || value === null) return false
  return Object.entries(value).some(([key, item]) => matches(key) || someText(item, matches))
}

/** Returns how a model could access this computer; undefined if it cannot. */
function localUse(model: StackModel): string | undefined {
  const other = Object.keys(model).find((key) => !knownKeys.has(key) && !key.startsWith('x-'))
  if (other !== undefined) return `the configuration sets the key ${other}`
  for (const [name, service] of Object.entries(model.services)) {
    const key = Object.keys(service).find((one) => !harmlessKeys.has(one) && !one.startsWith('x-'))
    if (key !== undefined) return `service ${name} sets the key ${key}`
    if (Object.values(service.environment ?? {}).includes(null)) {
      return `service ${name} has an environment variable without a value`
    }
    const profile = service.security_opt?.find(
      (option) =>
        /^seccomp[:=]/.test(option) && !/^seccomp[:=](?:unconfined|builtin)$/.test(option),
    )
    if (profile !== undefined)
      return `service ${name} sets the seccomp profile ${plainText(profile)}`
  }
  return someText(model, hasVariable) ? 'the configuration contains a variable' : undefined
}

/**
 * Parses a deployed model that a host has stored. The host is not trusted, and Compose may run on this computer, so a
 * model that would make Compose read files or variables, or run programs, is refused with kind `failed`. `source` names
 * the model in messages.
 */
export function parseStoredModel(text: string, source: string): StackModel {
  const model = parseModel(text) as StackModel | undefined
  const services: readonly unknown[] = Object.values(model?.services ?? {})
  const isValid = services.every((one) => typeof one === 'object' && one !== null)
  if (model?.services === undefined || !isValid) {
    throw new UserError('failed', `${source} has no Compose configuration that fleet can read`, {
      hint: 'deploy the stack again: fleet deploy',
    })
  }
  const why = localUse(model)
  if (why === undefined) return model
  throw new UserError(
    'failed',
    `${source} was not used, because it could access this computer: ${why}`,
    {
      hint: 'fleet did not write this configuration: check who changed it on the host',
    },
  )
}
