import type { EngineSpec } from '../../machine/engine-spec.ts'
import type { HostProbe } from '../host/probe.ts'

/** The result of comparing an existing engine with the requested one. */
export type EngineCheck =
  | { readonly kind: 'fits' }
  | { readonly kind: 'upgrade'; readonly from: string; readonly to: string }
  /** A mismatch that the user must resolve. */
  | { readonly kind: 'matter'; readonly why: string; readonly hint: string }

/**
 * Whether an installed version equals the wanted version or begins with it. A package's version `29.1.0~rc.2`
 * corresponds to the engine's version `29.1.0-rc.2`.
 */
const isVersion = (installed: string, wanted: string): boolean => {
  const plain = wanted.replaceAll('~', '-')
  return (
    installed === plain || installed.startsWith(`${plain}.`) || installed.startsWith(`${plain}-`)
  )
}

/** Whether a version is older than `wanted`, which may be a prefix of a version. */
function isOlder(installed: string, wanted: string): boolean {
  const [a, b] = [installed, wanted].map((version) => version.split(/[.~-]/).map(Number))
  for (const [index, number] of (b ?? []).entries()) {
    const has = a?.[index] ?? 0
    if (has !== number) return has < number
  }
  return false
}

/**
 * Compares the requested engine with the running one. Only an engine from Docker's repository is upgraded: replacing a
 * distribution's engine would install a different package with different files. If only a channel is requested, any
 * version from the channel's source matches.
 */
export function checkEngine(
  { engine, engineFromDocker }: HostProbe,
  { version, channel }: EngineSpec,
): EngineCheck {
  const installed = engine?.version
  if (installed === undefined) return { kind: 'fits' }
  const isRightSource = channel === undefined || (channel !== 'distribution') === engineFromDocker
  if (version === undefined ? isRightSource : isVersion(installed, version)) return { kind: 'fits' }
  const wanted = version === undefined ? `channel ${channel}` : version
  const difference = `the engine version is ${installed}, but the entry specifies ${wanted}`
  if (version !== undefined && !isOlder(installed, version)) {
    const hint = `fleet does not downgrade engines: set the version in the entry to ${installed}, or install the older engine by hand`
    return { kind: 'matter', why: difference, hint }
  }
  if (!engineFromDocker || version === undefined) {
    const source = `${engineFromDocker ? 'comes' : 'does not come'} from Docker's own repository`
    const hint =
      'remove the engine from the host by hand, then run fleet provision to install the engine that the entry specifies'
    return {
      kind: 'matter',
      why: `the engine (${installed}) ${source}, but the entry specifies ${wanted}`,
      hint,
    }
  }
  return { kind: 'upgrade', from: installed, to: version }
}
