import * as z from 'zod'
import { lineOf } from './fields.ts'

// Schemas for a machine's engine. Each message completes the sentence "expected …".

/** Keys of daemon.json that fleet does not write, with the reasons. */
const refusedKeys: Readonly<Record<string, string>> = {
  hosts: "fleet reaches the engine's Unix socket through SSH, not through a TCP port",
  tls: 'fleet reaches the engine through SSH, not through a TCP port with TLS',
  tlsverify: 'fleet reaches the engine through SSH, not through a TCP port with TLS',
  tlscacert: 'fleet reaches the engine through SSH, not through a TCP port with TLS',
  tlscert: 'fleet reaches the engine through SSH, not through a TCP port with TLS',
  tlskey: 'fleet reaches the engine through SSH, not through a TCP port with TLS',
  group: 'the users that fleet logs in as are members of the docker group',
  pidfile: 'fleet finds the engine by its default PID file',
  'exec-root': 'fleet finds the engine by its default state directory',
  graph: 'replaced by data-root',
}

/** Returns why fleet cannot set a key in daemon.json; undefined if it can. */
const refusedKey = (key: string): string | undefined =>
  Object.hasOwn(refusedKeys, key) ? refusedKeys[key] : undefined

const maxDepth = 8
const maxConfigLength = 32 * 1024

/** A JSON value. `null` removes a key. */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json }

/** The settings in daemon.json, by key. */
export type DaemonConfig = Readonly<Record<string, Json>>

/** Returns why a value cannot be written to daemon.json; undefined if it can. */
function jsonProblem(value: unknown, depth = 0): string | undefined {
  if (depth > maxDepth) return `at most ${maxDepth} levels of nesting`
  if (value === null || typeof value === 'boolean') return undefined
  if (typeof value === 'string') {
    return lineOf(4096, 0).safeParse(value).success ? undefined : 'single-line values'
  }
  if (typeof value === 'number') {
    return Number.isSafeInteger(value) || (Number.isFinite(value) && !Number.isInteger(value))
      ? undefined
      : 'numbers that JSON can represent'
  }
  if (typeof value !== 'object') return 'values that JSON can represent'
  if (!Array.isArray(value) && Object.getPrototypeOf(value) !== Object.prototype) {
    return 'values that JSON can represent'
  }
  for (const [key, item] of Object.entries(value)) {
    const isKey = key !== '__proto__' && lineOf(256).safeParse(key).success
    const problem = isKey ? jsonProblem(item, depth + 1) : 'single-line keys'
    if (problem !== undefined) return problem
  }
  return undefined
}

/** Settings for daemon.json. */
const daemonConfig = z
  .record(
    z.string().regex(/^[a-z][a-z0-9-]{0,63}$/, 'a key of daemon.json, such as log-driver'),
    z.unknown(),
  )
  .superRefine((config, context) => {
    for (const [key, value] of Object.entries(config)) {
      const refused = refusedKey(key)
      const problem =
        refused === undefined ? jsonProblem(value) : `a key other than ${key} (${refused})`
      if (problem !== undefined) context.addIssue({ code: 'custom', path: [key], message: problem })
    }
    if (JSON.stringify(config).length > maxConfigLength) {
      context.addIssue({ code: 'custom', message: `at most ${maxConfigLength / 1024} KiB` })
    }
  })

/** Variables that are refused: those that make the engine load other code, and those that systemd sets for services. */
const loaderVariable = /^(?:LD_|BASH_ENV$|ENV$|PATH$|GCONV_PATH$|NOTIFY_SOCKET$|LISTEN_)/

/** Environment variables of docker.service. */
const environment = z.record(
  z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'an environment variable name')
    .refine(
      (name) => !loaderVariable.test(name),
      'a variable other than PATH, ENV, BASH_ENV, GCONV_PATH, NOTIFY_SOCKET, LD_* and LISTEN_*',
    ),
  z.union([lineOf(4096, 0), z.null()]),
)

/** The `HOST` or `HOST:PORT` of a registry. It is also used as a directory name on the host. */
const registryName =
  /^(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*(?::[1-9][0-9]{0,4})?$/

/** A URL without a login, a query or characters that a shell interprets. */
const plainUrl =
  /^https?:\/\/[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[1-9][0-9]{0,4})?(?:\/[A-Za-z0-9._~-]+)*\/?$/

/** A file in or below the inventory's directory. Such a file is shared together with the inventory. */
export const fileInFolder = z
  .string()
  .regex(
    /^(?![/\\~]|[A-Za-z]:)(?!(?:.*[/\\])?\.\.(?:[/\\]|$)).+$/,
    'a path in the inventory\'s directory, without ".."',
  )

const mirrorUrl = z
  .string()
  .max(512)
  .regex(plainUrl, 'a URL such as https://mirror.example.com, without credentials')

const registry = z
  .strictObject({
    insecure: z
      .literal(true)
      .optional()
      .describe('Whether the engine may use HTTP, or HTTPS without verifying the certificate.'),
    ca: fileInFolder
      .optional()
      .describe(
        "The CA certificates that the engine trusts for this registry: a PEM file in the inventory's directory.",
      ),
    mirror: z
      .union([mirrorUrl, z.array(mirrorUrl).min(1).max(16)])
      .optional()
      .describe(
        'The URL of a mirror to pull through, or a list of such URLs. Only docker.io can have mirrors.',
      ),
  })
  .refine(({ insecure, ca }) => insecure === undefined || ca === undefined, {
    path: ['insecure'],
    message: 'either "insecure" or "ca", not both',
  })

/** Registries, keyed by `HOST` or `HOST:PORT`. */
const registries = z
  .record(z.string().regex(registryName, 'a registry (HOST or HOST:PORT)'), registry)
  .superRefine((all, context) => {
    for (const [name, { mirror, insecure, ca }] of Object.entries(all)) {
      const isHub = name === 'docker.io'
      if (mirror !== undefined && !isHub) {
        const message = 'no mirror: the engine supports mirrors only for docker.io'
        context.addIssue({ code: 'custom', path: [name, 'mirror'], message })
      }
      if (isHub && (insecure ?? ca) !== undefined) {
        const path = [name, insecure === undefined ? 'ca' : 'insecure']
        const message = 'only "mirror" for docker.io'
        context.addIssue({ code: 'custom', path, message })
      }
    }
  })

/** The Docker engine of a machine: which engine to install, and its settings. */
export const engineSpec = z
  .strictObject({
    version: z
      .string()
      .regex(/^\d(?:[\w.~+-]*\w)?$/, 'a version such as "28.2"')
      .optional()
      .describe(
        "The engine version from Docker's repository. A prefix selects the newest match: 28.2 installs the newest 28.2.x. The channel defaults to stable.",
      ),
    channel: z
      .enum(['distribution', 'stable', 'test'])
      .optional()
      .describe(
        "The package source: the Linux distribution, or a channel of Docker's own package repository.",
      ),
    repository: z
      .string()
      .max(512)
      .regex(plainUrl, 'a URL such as https://mirror.example.com/linux, without credentials')
      .optional()
      .describe(
        "The URL of a mirror of Docker's package repository (default: https://download.docker.com/linux). The packages must be signed with Docker's key.",
      ),
    config: daemonConfig
      .optional()
      .describe(
        'Engine settings, with the same keys as in daemon.json. Other keys on the host are kept; `null` removes a key.',
      ),
    environment: environment
      .optional()
      .describe(
        'Environment variables for the engine, such as HTTP_PROXY. Other variables on the host are kept; `null` removes a variable.',
      ),
    registries: registries
      .optional()
      .describe('How the engine connects to registries, keyed by HOST or HOST:PORT.'),
  })
  .refine(({ version, channel }) => version === undefined || channel !== 'distribution', {
    path: ['channel'],
    message: '"stable" or "test" if "version" is set: a distribution has only one version',
  })
  .refine(({ repository, channel }) => repository === undefined || channel !== 'distribution', {
    path: ['channel'],
    message: '"stable" or "test" if "repository" is set',
  })

/**
 * The Docker engine of a machine. Without version, channel and repository, it is the package from the Linux
 * distribution.
 */
export type EngineSpec = z.infer<typeof engineSpec>
