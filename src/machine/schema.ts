import * as z from 'zod'
import { defaultSocket } from './machine.ts'
import { maxResourceLength } from './record-patterns.ts'
import {
  commentedKey,
  driverName,
  hostAddress,
  keyFingerprint,
  lineOf,
  loginName,
  resourceKey,
  port,
  providerId,
  publicKey,
  socketPath,
  sshDestination,
  token,
} from './fields.ts'
import { labelKeyPattern, maxLabelLength } from './labels.ts'
import { engineSpec, fileInFolder } from './engine-spec.ts'
import { isMachineName, machineNamePattern, machineNameRule } from './name.ts'
import { stackNamePattern } from './stacks.ts'

// A message in these schemas completes the sentence "expected …".

const machineName = z.string().regex(machineNamePattern, machineNameRule)

/** Labels. Their keys and values are restricted to what shells and providers accept, for example in tags. */
const labels = z.record(
  z
    .string()
    .regex(
      labelKeyPattern,
      '1 to 63 ASCII letters, digits, ".", "_", "/" or "-", beginning and ending with a letter or digit',
    ),
  lineOf(maxLabelLength, 0),
)

/** The name of an operator. It becomes a comment in authorized_keys. */
const operatorName = z
  .string()
  .regex(
    /^[A-Za-z0-9](?:[\w.@-]{0,62})$/,
    '1 to 63 ASCII letters, digits, "_", ".", "@" or "-", beginning with a letter or digit',
  )

/** A term of `--on` that `parseSelector` accepts. Terms with a state are excluded, because states change over time. */
const term = String.raw`(?!!?state!?=|!=|![^,=]*!=|!(?:all)?\s*(?:,|$))[^\s=,][^,]*`

/** A value of `--on`: terms separated by commas. */
const selectorTerm = new RegExp(String.raw`^\s*${term}(?:,\s*${term})*$`)

const selector = z.string().max(512).regex(selectorTerm, 'NAME, NAME-*, LABEL=VALUE or driver=NAME')

/** A public key to authorize on all machines, or only on those that `on` selects. */
const operatorEntry = z.union([
  commentedKey,
  z.strictObject({
    key: commentedKey.describe('The public key.'),
    on: z
      .array(selector)
      .min(1)
      .max(64)
      .describe(
        'The machines to install the key on: selectors as for `--on`, such as [web-*, role=web], but without states.',
      ),
  }),
])
/** An entry under `operators:`. */
export type OperatorEntry = z.infer<typeof operatorEntry>

/** The maximum length of a text that a host reports about itself, in characters. */
const maxFactLength = 255

/** The record of a host. fleet writes it; users have no reason to edit it. */
export const hostRecord = z.strictObject({
  phase: z
    .enum(['creating', 'ready', 'removing'])
    .describe("The host's phase: being created, ready or being removed."),
  token: token
    .optional()
    .describe(
      'The creation token, which is sent to the provider so that a retry does not create a second host.',
    ),
  id: providerId.optional().describe("The provider's ID for the host."),
  address: hostAddress
    .optional()
    .describe("The host's last known address. Without an address, the host is this computer."),
  port: port.optional().describe('The SSH port (default: 22).'),
  user: loginName.optional().describe('The user that fleet logs in as.'),
  sshAlias: sshDestination
    .optional()
    .describe(
      "The host's alias in ssh_config, as [user@]host[:port]. For users who trust the alias (`fleet trust alias`), the settings for the alias in their own SSH configuration take precedence over address, port and user.",
    ),
  hostKeys: z
    .array(publicKey)
    .max(64)
    .optional()
    .describe('The SSH host keys. fleet accepts no others.'),
  key: keyFingerprint
    .optional()
    .describe("The login key's fingerprint. The private key is never stored in this file."),
  socket: socketPath.optional().describe(`The Docker engine's socket (default: ${defaultSocket}).`),
  os: lineOf(maxFactLength).optional().describe('The operating system at the last connection.'),
  arch: lineOf(maxFactLength)
    .optional()
    .describe(
      'The processor architecture at the last connection, in Docker notation (amd64, arm64).',
    ),
  engine: lineOf(maxFactLength).optional().describe('The engine version at the last connection.'),
  resources: z
    .record(resourceKey, lineOf(maxResourceLength))
    .optional()
    .describe('Resource IDs and other state that only the driver uses.'),
  replacing: z
    .literal(true)
    .optional()
    .describe('The host is being replaced: a new one will be created after this one is removed.'),
  created: z.iso.datetime().optional().describe('The time when fleet added the entry.'),
})
/** The record of a host (`host:`). */
export type HostRecord = z.infer<typeof hostRecord>

const sshSettings = z.strictObject({
  client: z
    .enum(['builtin', 'openssh'])
    .optional()
    .describe(
      "The SSH client: builtin (fleet's own) or openssh (the ssh program on the computer that runs fleet). By default, fleet uses ssh only if its own client cannot log in.",
    ),
})

/** The keys that machines and profiles have in common. */
const spec = z.strictObject({
  extends: machineName
    .optional()
    .describe('The profile from which to inherit keys that are not set here.'),
  driver: driverName
    .optional()
    .describe(
      'The driver that provides the host, such as ssh, aws or local: see `fleet create --help`.',
    ),
  labels: labels.optional().describe('Labels, for selectors such as `--on KEY=VALUE`.'),
  options: z.record(resourceKey, z.unknown()).optional().describe('Options for the driver.'),
  via: machineName.optional().describe('The machine to use as the SSH jump host.'),
  ssh: sshSettings.optional().describe('Settings for the SSH connection.'),
  engine: z
    .union([z.literal('none'), engineSpec])
    .optional()
    .describe(
      'The Docker engine to install on a new host, and its settings. `none` means a host without Docker, such as a jump host.',
    ),
  userData: fileInFolder
    .optional()
    .describe("Your own cloud-init user-data for a new host: a file in the inventory's directory."),
  protected: z
    .boolean()
    .optional()
    .describe('Whether you must type the machine name to remove the machine.'),
})

/** An entry under `machines:`, with the record of its host. */
export const machineEntry = spec.extend({
  stopped: z
    .literal(true)
    .optional()
    .describe(
      'Whether the machine should be stopped. `fleet stop` adds this key; `fleet start` removes it.',
    ),
  host: hostRecord.optional().describe("The host's saved state, managed by fleet."),
})
/** An entry under `machines:` as written in the file, without the values from its profile. */
export type MachineEntry = z.infer<typeof machineEntry>

/** The maximum `count` of a profile. */
const maxCount = 10_000

/** An entry under `profiles:`. It holds values that are common to the machines that extend it. */
export const profileEntry = spec.extend({
  count: z
    .int()
    .min(0)
    .max(maxCount)
    .optional()
    .describe(
      'The number of machines (NAME-1, NAME-2 …) that should exist. Profiles that extend this one do not inherit the number.',
    ),
})
/** An entry under `profiles:`. */
export type ProfileEntry = z.infer<typeof profileEntry>

/** Either one value or a list of values. */
const oneOrMore = <Value extends z.ZodType>(value: Value, most: number) =>
  z.union([value, z.array(value).min(1).max(most)])

/** The name of a stack, and of its Compose project. */
const stackName = z
  .string()
  .regex(
    stackNamePattern,
    '1 to 63 lowercase letters, digits, "_" or "-", beginning with a letter or digit',
  )

/** The maximum number of files, selectors or profiles in a stack. */
const maxPerStack = 64

/** The maximum time limit for a deployment, in seconds. */
const maxWait = 86_400

/** The name of a swarm. */
const swarmName = z
  .string()
  .regex(
    /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/,
    '1 to 63 lowercase letters, digits or "-", beginning and ending with a letter or digit',
  )

/** An entry under `stacks:`: Compose files to deploy to machines or to a swarm. */
const stackEntry = z
  .strictObject({
    compose: oneOrMore(fileInFolder, maxPerStack).describe(
      "The Compose file in the inventory's directory, or a list of files that are merged in the given order.",
    ),
    on: oneOrMore(selector, maxPerStack)
      .optional()
      .describe(
        'The machines to deploy to: a selector as for `--on`, such as role=web, or a list of selectors. Required, unless `swarm` is set.',
      ),
    swarm: swarmName
      .optional()
      .describe('The swarm to deploy the services to, instead of individual machines.'),
    batch: z
      .union([
        z.int().min(1).max(10_000),
        z
          .string()
          .regex(/^(?:[1-9]\d?|100)%$/, 'a number of machines, or a percentage such as 25%'),
      ])
      .optional()
      .describe('The number or percentage of machines to deploy to at the same time (default: 1).'),
    wait: z
      .int()
      .min(1)
      .max(maxWait)
      .optional()
      .describe(
        'The time limit, in seconds, for all services to be running and healthy (default: 120).',
      ),
    env: oneOrMore(fileInFolder, maxPerStack)
      .optional()
      .describe(
        "A file with variables for the Compose files, or a list of such files, in the inventory's directory. Variables set in the shell take precedence.",
      ),
    profiles: z
      .array(
        z
          .string()
          .max(64)
          .regex(
            /^[A-Za-z0-9][\w.-]*$/,
            'letters, digits, "_", "." or "-", beginning with a letter or digit',
          ),
      )
      .min(1)
      .max(maxPerStack)
      .optional()
      .describe('The Compose profiles to enable.'),
    buildOn: machineName
      .optional()
      .describe(
        "The machine that builds the stack's images (default: the first machine of each architecture).",
      ),
  })
  .refine(({ on, swarm }) => (on === undefined) !== (swarm === undefined), {
    error: 'either "on" or "swarm"',
    path: ['on'],
  })
  .refine(({ batch, swarm }) => batch === undefined || swarm === undefined, {
    error: 'no "batch" together with "swarm": set deploy.update_config in the Compose file',
    path: ['batch'],
  })
/** An entry under `stacks:`. */
export type StackEntry = z.infer<typeof stackEntry>

/** An IPv4 network with room for at least 16 overlay networks of 256 addresses. */
const addressPool = z
  .string()
  .regex(
    /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\/(?:[89]|1\d|20)$/,
    'an IPv4 network with a prefix length of 8 to 20, such as 10.99.0.0/16',
  )

/** An entry under `swarms:`: machines whose engines form a cluster. */
const swarmEntry = z.strictObject({
  managers: oneOrMore(selector, maxPerStack).describe(
    'The machines that manage the swarm: a selector as for `--on`, such as role=manager, or a list of selectors. Use 1, 3 or 5 machines.',
  ),
  workers: oneOrMore(selector, maxPerStack)
    .optional()
    .describe(
      'The other machines in the swarm: a selector, or a list of selectors (default: none).',
    ),
  labels: z
    .array(z.string().regex(labelKeyPattern, 'a label key'))
    .max(maxPerStack)
    .optional()
    .describe('The machine labels that become node labels, by key (default: all).'),
  addressPool: addressPool
    .optional()
    .describe(
      'The network from which overlay networks get their subnets (default: the first of 10.99.0.0/16, 10.100.0.0/16 … that does not overlap any route on the machines). This network cannot be changed later.',
    ),
  autolock: z
    .boolean()
    .optional()
    .describe(
      'Whether managers must be unlocked with a key (`fleet swarm unlock`) after their engines restart (default: unchanged; false for new swarms).',
    ),
  id: z
    .string()
    .regex(/^[a-z0-9]{25}$/, '25 lowercase letters or digits')
    .optional()
    .describe('The cluster ID, which fleet writes when initializing the swarm.'),
})
/** An entry under `swarms:`. */
export type SwarmEntry = z.infer<typeof swarmEntry>

/** The schema of machines.yaml. */
export const inventoryFile = z.strictObject({
  version: z.literal(1).describe('The format version of this file.'),
  id: z
    .string()
    .regex(/^[0-9a-f]{8}$/, '8 hexadecimal digits')
    .describe('The ID of this fleet, generated by `fleet init`.'),
  defaults: z
    .record(
      driverName.refine(
        (name) => name === 'ssh' || !Object.hasOwn(machineEntry.shape, name),
        'a driver name: settings that machines share belong in a profile',
      ),
      z.record(resourceKey, z.unknown()),
    )
    .optional()
    .describe('Default options by driver. Profiles and machines override them.'),
  operators: z
    .record(operatorName, operatorEntry)
    .optional()
    .describe('Public keys to authorize on machines, keyed by owner name.'),
  profiles: z
    .record(machineName, profileEntry)
    .nullish()
    .describe('Settings that machines share, keyed by profile name, for `extends:`.'),
  stacks: z
    .record(stackName, stackEntry)
    .optional()
    .describe('Compose files to deploy to machines, keyed by stack name.'),
  swarms: z
    .record(swarmName, swarmEntry)
    .optional()
    .describe('Machines whose engines form a cluster in Swarm mode, keyed by swarm name.'),
  audit: z
    .literal('git')
    .optional()
    .describe('`git`: commands that change this file also commit it to git.'),
  machines: z
    .record(
      machineName.refine(isMachineName, 'another name: "all" selects every machine'),
      machineEntry,
    )
    .nullish()
    .describe('The machines, keyed by name.'),
})
/** The content of machines.yaml. */
export type InventoryFile = z.infer<typeof inventoryFile>
