import { X509Certificate } from 'node:crypto'
import { UserError, naming } from '../../errors.ts'
import type { DaemonConfig, EngineSpec } from '../../machine/engine-spec.ts'
import type { Machine } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import { hasCustomEngine } from '../../provision/engine/plan-engine.ts'
import {
  type EngineState,
  certificateFile,
  engineStateScript,
  parseEngineState,
} from '../../provision/engine/settings/engine-state.ts'
import { type EngineSettings, isEmpty } from '../../provision/engine/settings/engine-settings.ts'
import type { HostProbe } from '../../provision/host/probe.ts'
import { run } from '../../transport/run.ts'
import type { ProbeTarget } from '../adopt/probe-host.ts'
import type { Stores } from '../context.ts'
import { readInventoryFile } from '../create/read-user-data.ts'

/** The maximum size of a file with CA certificates, in bytes. */
const maxCertificateBytes = 64 * 1024

/**
 * The environment variables that may be set for the engine on this computer. The keys of daemon.json may be set unless
 * they are in `programKeys`, which contains the keys that refer to programs or files.
 */
const proxyVariable = /^(?:(?:https?|ftp|all|no)_proxy)$/i
const programKeys = new Set([
  ...['runtimes', 'default-runtime', 'init-path', 'userland-proxy-path', 'authorization-plugins'],
  ...['containerd', 'cdi-spec-dirs', 'seccomp-profile', 'data-root', 'exec-opts', 'log-opts'],
])

/**
 * Throws kind `usage` for settings that could make the engine on this computer run programs or read files, since the
 * inventory may come from others.
 */
function checkLocal(
  { name, driver }: Machine,
  { config = {}, environment = {} }: EngineSpec,
): void {
  if (driver !== 'local') return
  const key =
    Object.keys(config).find((one) => programKeys.has(one)) ??
    Object.keys(environment).find((one) => !proxyVariable.test(one))
  if (key === undefined) return
  throw new UserError('usage', `fleet does not set ${key} for the engine on this computer`, {
    machine: name,
    hint: 'with this setting, an inventory could make the engine use any program or file; set it in /etc/docker/daemon.json by hand',
  })
}

/** The certificates in a PEM file. Everything else in the file, such as a private key, is omitted. */
function certificatesIn(content: Uint8Array, file: string, location: string): string {
  const blocks =
    Buffer.from(content)
      .toString('latin1')
      .match(/-----BEGIN CERTIFICATE-----[\sA-Za-z0-9+/=]+-----END CERTIFICATE-----/g) ?? []
  try {
    const pems = blocks.map((block) => new X509Certificate(block).toString())
    if (pems.length > 0) return pems.map((pem) => `${pem.trimEnd()}\n`).join('')
  } catch (error) {
    throw notCertificate(file, location, error)
  }
  throw notCertificate(file, location)
}

const notCertificate = (file: string, location: string, cause?: unknown): UserError =>
  new UserError('usage', `${file} contains no valid CA certificate`, {
    hint: `"ca" in ${location} must name a file with certificates in PEM format (-----BEGIN CERTIFICATE-----)`,
    cause,
  })

/** Converts the settings in `registries:` to lists for daemon.json and to certificate files. */
function registrySettings({ registries = {} }: EngineSpec) {
  const all = Object.entries(registries)
  return {
    listed: {
      'insecure-registries': all.filter(([, { insecure }]) => insecure).map(([name]) => name),
      'registry-mirrors': all.flatMap(([, { mirror }]) => [mirror ?? []].flat()),
    },
    files: all.flatMap(([name, { ca }]) => (ca === undefined ? [] : [[name, ca] as const])),
  }
}

/**
 * The settings of a machine's engine, with the content of the certificates, which are in the directory of the
 * inventory. Throws kind `usage` for a file that cannot be read or has no certificate, and for settings that fleet does
 * not change on this computer.
 */
export async function settingsOf(
  context: Pick<Stores, 'inventory'>,
  machine: Machine,
): Promise<EngineSettings | undefined> {
  const { name, engine } = machine
  if (typeof engine !== 'object') return undefined
  checkLocal(machine, engine)
  const { listed, files } = registrySettings(engine)
  const { location } = await context.inventory()
  const certificates = await Promise.all(
    files.map(([registry, file]) =>
      naming(name, async () => {
        const what = { name: `certificate file ${file}`, key: 'ca', maxBytes: maxCertificateBytes }
        const content = await readInventoryFile(location, file, what)
        return [registry, certificatesIn(content, file, location)] as const
      }),
    ),
  )
  const settings = {
    config: (engine.config ?? {}) as DaemonConfig,
    environment: engine.environment ?? {},
    listed,
    certificates: Object.fromEntries(certificates),
  }
  return isEmpty(settings) ? undefined : settings
}

/** How long a host may print nothing while its settings are read, in milliseconds. */
const silenceMs = 60_000

/** Reads the settings of a host's engine with one command, which does not change the host. */
export async function readEngineState(
  { machine, transport, signal }: ProbeTarget,
  { certificates }: Pick<EngineSettings, 'certificates'>,
): Promise<EngineState> {
  const registries = Object.keys(certificates)
  const { code, stdout, stderr } = await run(
    transport,
    ['sh', '-s', ...registries.map(certificateFile)],
    { input: engineStateScript, signal, idleTimeoutMs: silenceMs },
  )
  if (code !== 0) {
    const why = stderr.trim().split('\n').at(-1) || `exit code ${code}`
    throw new UserError('failed', `cannot read the engine settings: ${why}`, { machine })
  }
  return naming(machine, async () => parseEngineState(stdout, registries))
}

/** Throws kind `unsupported` for an engine whose settings fleet cannot change. */
export function checkConfigurable(
  machine: MachineName,
  probe: HostProbe,
  { environment }: EngineSettings,
): void {
  if (hasCustomEngine(probe)) {
    throw new UserError(
      'unsupported',
      `the engine at ${probe.engine?.socket} is rootless or was set up by hand, so fleet does not change its settings`,
      {
        machine,
        hint: 'remove "config", "environment" and "registries" from "engine:" in the entry',
      },
    )
  }
  if (Object.keys(environment).length > 0 && probe.init !== 'systemd') {
    throw new UserError(
      'unsupported',
      "the engine's environment can be set only on hosts with systemd",
      {
        machine,
        hint: 'for a proxy, use the key "proxies" in engine.config (Docker 23 or later)',
      },
    )
  }
}
