import * as z from 'zod'
import { longestNote } from './record-patterns.ts'
import {
  commentedKey,
  driverName,
  hostAddress,
  keyFingerprint,
  lineOf,
  loginName,
  noteKey,
  port,
  providerId,
  publicKey,
  socketPath,
  token,
} from './fields.ts'
import { labelKeyPattern, longestLabelValue } from './labels.ts'
import { isMachineName, machineNamePattern, machineNameRule } from './name.ts'

// A message here names what is expected: it completes "expected …".

const machineName = z.string().regex(machineNamePattern, machineNameRule)

/** Labels and tags: short keys, values that survive a shell and a provider's tag. */
const labels = z.record(
  z
    .string()
    .regex(
      labelKeyPattern,
      '1 to 63 ASCII letters, digits, ".", "_", "/" and "-", with a letter or digit first and last',
    ),
  lineOf(longestLabelValue, 0),
)

/** The names of operators: fit for a comment in authorized_keys. */
const operatorName = z
  .string()
  .regex(
    /^[A-Za-z0-9](?:[\w.@-]{0,62})$/,
    '1 to 63 ASCII letters, digits, "_", ".", "@" and "-", with a letter or digit first',
  )

/** What `--on` takes: terms with commas between, none empty and none that begins with "=". */
const selectorTerm = /^\s*[^\s=,][^,]*(?:,\s*[^\s=,][^,]*)*$/

/** A key that machines let in: all of them, or those that `on` selects. */
const operatorEntry = z.union([
  commentedKey,
  z.strictObject({
    key: commentedKey.describe('The public key.'),
    on: z
      .array(z.string().max(512).regex(selectorTerm, 'NAME, NAME-*, LABEL=VALUE or driver=NAME'))
      .min(1)
      .max(64)
      .describe('Which machines let it in, as `--on` selects them: [web-*, role=web].'),
  }),
])
/** A key that machines let in (`operators:`). */
export type OperatorEntry = z.infer<typeof operatorEntry>

/** A file beside the inventory: one elsewhere would not travel with it. */
const fileBeside = z
  .string()
  .regex(
    /^(?![/\\~]|[A-Za-z]:)(?!(?:.*[/\\])?\.\.(?:[/\\]|$)).+$/,
    'a file in the inventory\'s folder, without ".."',
  )

/** Which engine a new host gets: the distribution's package, or one of Docker's own repository. */
const engineWish = z
  .strictObject({
    version: z
      .string()
      .regex(/^\d(?:[\w.~+-]*\w)?$/, 'a version such as "28.2"')
      .optional()
      .describe('Its beginning is enough: 28.2 is the newest 28.2.x. Means channel stable.'),
    channel: z
      .enum(['distribution', 'stable', 'test'])
      .optional()
      .describe("The distribution's package, or a channel of Docker's own repository."),
  })
  .refine(({ version, channel }) => version === undefined || channel !== 'distribution', {
    path: ['channel'],
    message: '"stable" or "test" beside a version: a distribution has only one',
  })

/** Which engine a new host gets. Neither told: the distribution's. */
export type EngineWish = z.infer<typeof engineWish>

/** What a host says of itself may have so many characters at most. */
const longestFact = 255

/** What fleet remembers of a host. fleet writes it; a person has no reason to. */
export const hostRecord = z.strictObject({
  phase: z.enum(['creating', 'ready', 'removing']).describe('How far the machine has come.'),
  token: token.optional().describe('Names the creation: the same token gives the same host.'),
  id: providerId.optional().describe("The provider's name for the host."),
  address: hostAddress.optional().describe('Where the host was last seen. Absent: this computer.'),
  port: port.optional().describe('SSH port; 22 unless told.'),
  user: loginName.optional().describe('Who fleet logs in as.'),
  hostKeys: z
    .array(publicKey)
    .max(64)
    .optional()
    .describe('The only SSH host keys that fleet accepts.'),
  key: keyFingerprint
    .optional()
    .describe('Fingerprint of the login key; the private key is never in this file.'),
  socket: socketPath
    .optional()
    .describe("The engine's socket, where it is not /var/run/docker.sock."),
  os: lineOf(longestFact).optional().describe('Operating system, as last seen.'),
  arch: lineOf(longestFact)
    .optional()
    .describe('Processor architecture, in Docker terms, as last seen.'),
  engine: lineOf(longestFact).optional().describe('Engine version, as last seen.'),
  resources: z.record(noteKey, lineOf(longestNote)).optional().describe("The driver's own notes."),
  replacing: z
    .literal(true)
    .optional()
    .describe('It is being replaced: once its host is gone, another one is made.'),
  created: z.iso.datetime().optional().describe('When fleet first wrote the entry.'),
})
/** What fleet remembers of a host (`host:`). */
export type HostRecord = z.infer<typeof hostRecord>

/** What a person wants of a machine, or of all that extend a profile. */
const spec = z.strictObject({
  extends: machineName.optional().describe('The profile that says what this does not.'),
  driver: driverName.optional().describe('How the host comes to be: see `fleet create --help`.'),
  labels: labels.optional().describe('What `--on KEY=VALUE` selects by.'),
  options: z.record(noteKey, z.unknown()).optional().describe("The driver's options."),
  via: machineName.optional().describe('The machine to jump through.'),
  engine: z
    .union([z.literal('none'), engineWish])
    .optional()
    .describe('Which engine a new host gets. `none`: a host without Docker, such as a jump host.'),
  userData: fileBeside
    .optional()
    .describe("Your own cloud-init user-data for a new host: a file in the inventory's folder."),
  protected: z.boolean().optional().describe('Removing asks for the name.'),
})

/** One entry under `machines:`: what the person wants, and the record under `host:`. */
export const machineEntry = spec.extend({
  stopped: z
    .literal(true)
    .optional()
    .describe('It is to be switched off. `fleet stop` writes it, `fleet start` takes it away.'),
  host: hostRecord.optional().describe('Written by fleet.'),
})
/** One entry under `machines:`, as it is written: what a profile says for it is not in here. */
export type MachineEntry = z.infer<typeof machineEntry>

/** As many machines as one profile may want. */
const mostCounted = 10_000

/** One entry under `profiles:`: what the machines that extend it have in common. */
export const profileEntry = spec.extend({
  count: z
    .int()
    .min(0)
    .max(mostCounted)
    .optional()
    .describe('How many machines NAME-1, NAME-2 … are wanted. Not handed on to what extends it.'),
})
/** One entry under `profiles:`. */
export type ProfileEntry = z.infer<typeof profileEntry>

/** The whole of machines.yaml. */
export const inventoryFile = z.strictObject({
  version: z.literal(1).describe('The format of this file.'),
  id: z
    .string()
    .regex(/^[0-9a-f]{8}$/, '8 hexadecimal digits')
    .describe('Names this fleet; written by `fleet init`.'),
  defaults: z
    .record(driverName, z.record(noteKey, z.unknown()))
    .optional()
    .describe('Options by driver, for machines that do not say otherwise.'),
  operators: z
    .record(operatorName, operatorEntry)
    .optional()
    .describe('Public keys that machines let in, by the name of who holds them.'),
  profiles: z
    .record(machineName, profileEntry)
    .nullish()
    .describe('What machines have in common, by name, for `extends:`.'),
  audit: z
    .literal('git')
    .optional()
    .describe('Every command that changes this file commits it, saying what was done.'),
  machines: z
    .record(
      machineName.refine(isMachineName, 'another name: "all" means every machine'),
      machineEntry,
    )
    .nullish()
    .describe('The machines, by name.'),
})
/** The whole of machines.yaml. */
export type InventoryFile = z.infer<typeof inventoryFile>
