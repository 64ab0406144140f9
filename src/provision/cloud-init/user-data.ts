import { gzipSync } from 'node:zlib'
import { UserError } from '../../errors.ts'
import type { EngineSpec } from '../../machine/engine-spec.ts'
import type { EngineSettings } from '../engine/settings/engine-settings.ts'
import { bootScriptName, writeBootScript } from './boot-script.ts'
import { type Part, writeMultipart } from './multipart.ts'
import { type OwnUserData, toPart, mentionsUser, usersInText } from './custom-user-data.ts'

/** The configuration of a new host for its first boot. */
export interface FirstBoot {
  readonly hostName: string
  /** The login user, which cloud-init creates unless the image has it. Never root. */
  readonly user: string
  /** Public keys to authorize for `user`, with or without comments. */
  readonly authorizedKeys: readonly string[]
  /**
   * The Ed25519 host key that the host starts with: private key in OpenSSH's PEM format, public key
   * as `TYPE BASE64`.
   */
  readonly hostKey: { readonly privateKey: string; readonly publicKey: string }
  /** The engine to install (default: the distribution's engine). */
  readonly engine: EngineSpec | 'none' | undefined
  /** The settings that the engine starts with. */
  readonly settings?: EngineSettings | undefined
  /** Shell commands that run at every boot before the engine starts. */
  readonly bootCommands?: readonly string[]
  /** The user's own user-data to merge. */
  readonly own?: OwnUserData | undefined
}

/** Creates a part with a cloud-config (JSON is valid YAML); `merge` specifies how to merge it with preceding parts. */
const cloudConfig = (config: Readonly<Record<string, unknown>>, merge: string): Part => ({
  headers: ['Content-Type: text/cloud-config', `Merge-Type: ${merge}`],
  body: `#cloud-config\n${Object.entries(config)
    .map(([key, value]) => `${key}: ${JSON.stringify(value)}\n`)
    .join('')}`,
})

/** Settings that override all others. */
const settings = ({ hostName, hostKey }: FirstBoot): Part =>
  cloudConfig(
    {
      hostname: hostName,
      preserve_hostname: false,
      manage_etc_hosts: 'localhost', // because sudo resolves the host name
      disable_root: true,
      ssh_pwauth: false,
      ssh_deletekeys: true,
      ssh_keys: { ed25519_private: hostKey.privateKey, ed25519_public: hostKey.publicKey },
    },
    'dict(replace)+list()+str()',
  )

/**
 * Creates the docker group early: the engine's package would create it after the user's first login, and cloud-init
 * does not create a system group.
 */
const makeDockerGroup = 'getent group docker || groupadd --system docker || addgroup -S docker'

/** Makes bash, if it is installed, the default shell of new users, as in the distributions' images. */
const preferBash = '[ ! -x /bin/bash ] || useradd -D --shell /bin/bash'

/** Returns the settings of the login user, without the name. */
const loginUser = ({ authorizedKeys, engine }: FirstBoot): Readonly<Record<string, unknown>> => ({
  ...(engine !== 'none' && { groups: ['docker'] }),
  sudo: 'ALL=(ALL) NOPASSWD:ALL',
  lock_passwd: true,
  ssh_authorized_keys: authorizedKeys,
})

/** If two users have the same name, cloud-init uses the first one in the list. */
const listOrder = ({ user, own }: FirstBoot): 'append' | 'prepend' =>
  own !== undefined && mentionsUser(own, user) ? 'prepend' : 'append'

/** Settings that are added to the lists in preceding parts. */
const additions = (boot: FirstBoot): Part =>
  cloudConfig(
    {
      bootcmd: [
        ...(boot.engine === 'none' ? [] : [makeDockerGroup]),
        preferBash,
        ...(boot.bootCommands ?? []),
      ],
      users: [{ name: boot.user, ...loginUser(boot) }],
    },
    `dict(no_replace,recurse_list)+list(${listOrder(boot)})+str()`,
  )

/**
 * Adds the login user again, in case `users` is a mapping. If it is a list, this adds the name again, which has no
 * effect.
 */
const userInMapping = (boot: FirstBoot): Part =>
  cloudConfig(
    { users: { [boot.user]: loginUser(boot) } },
    'dict(no_replace,recurse_list)+list(append)+str()',
  )

/** Converts users from a string to a list, which can be merged. */
const usersAsList = (users: readonly string[]): Part =>
  cloudConfig({ users }, 'dict(replace)+list()+str()')

/** Adds cloud-init's default user, which would otherwise be lost when another user is added. */
const defaultUsers = cloudConfig({ users: ['default'] }, 'dict(no_replace)+list()+str()')

/**
 * Returns the user's own user-data and parts that prepare it for merging. The user-data comes first, so that its own
 * `merge_how` has no effect.
 */
function ownParts(own: OwnUserData): readonly Part[] {
  const named = usersInText(own)
  return [toPart(own), ...(named === undefined ? [] : [usersAsList(named)]), defaultUsers]
}

/**
 * Creates the user-data of a new host: a MIME message whose parts cloud-init merges in order. The user's own user-data
 * comes first, fleet's lists are added to it, and fleet's settings override it. The script that installs the engine
 * sorts before all other scripts, so that they can use the engine. Throws kind `usage` if cloud-init does not support
 * the format of the user's own user-data, or if the login user is root.
 */
export function writeUserData(boot: FirstBoot): string {
  const { user, engine, own } = boot
  if (user === 'root') {
    throw new UserError('usage', "a new host's login user cannot be root", {
      hint: 'choose another user; fleet will allow that user to use sudo without a password',
    })
  }
  return writeMultipart([
    ...(own === undefined ? [] : ownParts(own)),
    additions(boot),
    ...(own === undefined ? [] : [userInMapping(boot)]),
    settings(boot),
    ...(engine === 'none' ? [] : [bootScript(engine ?? {}, boot)]),
  ])
}

const bootScript = (engine: EngineSpec, { user, settings: engineSettings }: FirstBoot): Part => ({
  headers: [
    'Content-Type: text/x-shellscript',
    `Content-Disposition: attachment; filename="${bootScriptName}"`,
  ],
  body: writeBootScript(engine, user, engineSettings),
})

/** A provider's limits for user-data. */
interface UserDataLimit {
  /** Maximum size before the provider's own encoding, such as base64. */
  readonly maxBytes: number
  /** Whether the provider passes bytes on unchanged, so that cloud-init can decompress them. */
  readonly gzip: boolean
}

const size = (bytes: number): string => `${bytes.toLocaleString('en')} bytes`

/**
 * Encodes user-data for a provider. It is compressed only if necessary. Throws kind `usage` if it
 * is too large.
 */
export function packUserData(text: string, { maxBytes, gzip }: UserDataLimit): Buffer {
  const plain = Buffer.from(text)
  if (plain.length <= maxBytes) return plain
  const packed = gzip ? gzipSync(plain, { level: 9 }) : plain
  if (packed.length <= maxBytes) return packed
  const packedSize = gzip ? ` (${size(packed.length)} compressed)` : ''
  throw new UserError(
    'usage',
    `the user-data is too large: ${size(plain.length)}${packedSize}; the provider allows ${size(maxBytes)}`,
    { hint: 'shorten your own user-data, or load part of it from a URL with #include' },
  )
}
