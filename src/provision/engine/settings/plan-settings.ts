import { createHash } from 'node:crypto'
import type { Step } from '../../host/distributions.ts'
import { changeSettingsScript } from './change-settings.ts'
import {
  compareDaemonConfig,
  describeValue,
  formatDaemonConfig,
  mergeDaemonConfig,
  parseDaemonConfig,
  withoutDestructive,
} from './daemon-config.ts'
import { certificateFile, type EngineState } from './engine-state.ts'
import { type Effect, type EngineSettings, type SettingChange, worstOf } from './engine-settings.ts'
import { formatEnvironment } from './environment-file.ts'

/** The differences between a host's engine and its entry, and the step that resolves them. */
export interface SettingsPlan {
  /** The changes that the step makes. */
  readonly changes: readonly SettingChange[]
  /** Destructive changes that are not part of the step. */
  readonly skipped: readonly SettingChange[]
  readonly effect: Effect
  /** The command that makes the changes, without `sudo`; absent if there are no changes. */
  readonly step?: Step
}

/** Returns a short digest that identifies a certificate in messages. */
const fingerprint = (pem: string | undefined): string =>
  pem === undefined
    ? 'not set'
    : `SHA256:${createHash('sha256').update(pem).digest('base64').slice(0, 12)}`

const describeVariable = (value: string | null | undefined): string =>
  value === null ? 'unset' : describeValue(value)

function compareEnvironment(
  { environment: current }: EngineState,
  { environment: wanted }: EngineSettings,
): readonly SettingChange[] {
  return Object.entries(wanted)
    .filter(([name, value]) => current[name] !== value)
    .map(([name, value]) => ({
      option: `environment.${name}`,
      from: describeVariable(current[name]),
      to: describeVariable(value),
      effect: 'restart',
    }))
}

const compareCertificates = (
  { certificates: current }: EngineState,
  { certificates: wanted }: EngineSettings,
): readonly SettingChange[] =>
  Object.entries(wanted)
    .filter(([registry, pem]) => current[registry] !== pem)
    .map(([registry, pem]) => ({
      option: `CA of ${registry}`,
      from: fingerprint(current[registry]),
      to: fingerprint(pem),
      effect: 'live',
    }))

/** Keys whose changes also make the engine's volumes inaccessible. */
const volumeKeys: ReadonlySet<string> = new Set(['data-root', 'userns-remap'])

/** Describes how changes affect the engine and its containers. `effect` is the most disruptive of their effects. */
export function describeEffect(
  effect: Effect,
  changes: readonly Pick<SettingChange, 'option'>[],
  { keepsContainers, running }: Pick<EngineState, 'keepsContainers' | 'running'>,
): string {
  if (effect === 'live') return 'without a restart'
  const containers = `${running} running container${running === 1 ? '' : 's'}`
  if (effect === 'destructive') {
    const losesVolumes = changes.some(({ option }) => volumeKeys.has(option))
    const lost = losesVolumes ? 'images, containers and volumes' : 'images and containers'
    return `restarts the engine, which will no longer find its ${lost}; stops ${containers}`
  }
  if (running === 0) return 'restarts the engine'
  return keepsContainers
    ? 'restarts the engine; containers keep running'
    : `restarts the engine and ${containers}`
}

export const describeChange = ({ option, from, to }: SettingChange): string =>
  `${option} ${from} -> ${to}`

const base64 = (content: string): string => Buffer.from(content).toString('base64')

const interrupted: SettingChange = {
  option: 'interrupted change',
  from: 'not applied',
  to: 'applied',
  effect: 'restart',
}

/**
 * Plans the changes that make the settings of a host's engine match an entry. Settings that are not in the entry are
 * kept. Without `destructive`, changes that would lose images and containers are skipped. Throws as
 * {@link parseDaemonConfig} does.
 */
export function planSettings(
  state: EngineState,
  wanted: EngineSettings,
  { destructive }: { readonly destructive: boolean },
): SettingsPlan {
  const { file, text, inUse, pending } = state
  const current = parseDaemonConfig(text, file)
  const all = compareDaemonConfig(current, mergeDaemonConfig(current, wanted), inUse)
  const settings = destructive ? wanted : withoutDestructive(current, wanted, inUse)
  const merged = mergeDaemonConfig(current, settings)
  const configChanges = compareDaemonConfig(current, merged, inUse)
  const environmentChanges = compareEnvironment(state, settings)
  const changes = [
    ...configChanges,
    ...environmentChanges,
    ...compareCertificates(state, settings),
    ...(pending === undefined ? [] : [{ ...interrupted, effect: pending }]),
  ]
  const names = new Set(configChanges.map(({ option }) => option))
  const skipped = all.filter(({ option }) => !names.has(option))
  const effect = worstOf(changes.map((change) => change.effect))
  if (changes.length === 0) return { changes, skipped, effect }
  const certificates = Object.entries(settings.certificates)
    .filter(([registry, pem]) => state.certificates[registry] !== pem)
    .flatMap(([registry, pem]) => [certificateFile(registry), base64(pem)])
  const isOnlyCertificates = changes.every(({ option }) => option.startsWith('CA of '))
  const args = [
    file,
    configChanges.length === 0 ? '-' : base64(formatDaemonConfig(merged, text)),
    state.digest || '-',
    environmentChanges.length === 0
      ? '-'
      : base64(formatEnvironment({ ...state.environment, ...settings.environment })),
    isOnlyCertificates ? 'none' : effect === 'live' ? 'live' : 'restart',
    ...certificates,
  ]
  const what = changes.map(describeChange).join(', ')
  return {
    ...{ changes, skipped, effect },
    step: {
      description: `change the engine settings: ${what}; ${describeEffect(effect, changes, state)}`,
      command: ['sh', '-c', changeSettingsScript, 'sh', ...args],
    },
  }
}
