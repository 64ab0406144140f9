import { gzipSync } from 'node:zlib'
import { UserError } from '../../errors.ts'
import type { EngineWish } from '../../machine/schema.ts'
import { bootScriptName, writeBootScript } from './boot-script.ts'
import { type Part, writeMultipart } from './multipart.ts'
import { type OwnUserData, partOf, speaksOf, usersInText } from './own-user-data.ts'

/** What a new host is to be at its first boot. */
export interface FirstBoot {
  readonly hostName: string
  /** Who fleet logs in as: made by cloud-init unless the image has them, and never root. */
  readonly user: string
  /** Public keys that log in as `user`, with or without comment. */
  readonly authorizedKeys: readonly string[]
  /** The Ed25519 key that the host shows from its first connection on: OpenSSH's PEM, and `TYPE BASE64`. */
  readonly hostKey: { readonly privateKey: string; readonly publicKey: string }
  /** Absent: the distribution's. */
  readonly engine: EngineWish | 'none' | undefined
  /** What it runs at every boot before its engine starts, in shell. */
  readonly bootCommands?: readonly string[]
  /** The person's own user-data, which is joined with fleet's. */
  readonly own?: OwnUserData | undefined
}

/** A cloud-config (YAML, of which JSON is a part), and how it goes together with what came before it. */
const cloudConfig = (config: Readonly<Record<string, unknown>>, merge: string): Part => ({
  headers: ['Content-Type: text/cloud-config', `Merge-Type: ${merge}`],
  body: `#cloud-config\n${Object.entries(config)
    .map(([key, value]) => `${key}: ${JSON.stringify(value)}\n`)
    .join('')}`,
})

/** The settings that are fleet's to say, whatever else is said. */
const settings = ({ hostName, hostKey }: FirstBoot): Part =>
  cloudConfig(
    {
      hostname: hostName,
      preserve_hostname: false,
      manage_etc_hosts: 'localhost', // sudo looks the name up
      disable_root: true,
      ssh_pwauth: false,
      ssh_deletekeys: true,
      ssh_keys: { ed25519_private: hostKey.privateKey, ed25519_public: hostKey.publicKey },
    },
    'dict(replace)+list()+str()',
  )

/** The engine's packages would make the group too late for the user's first login, and cloud-init no system group. */
const makeDockerGroup = 'getent group docker || groupadd --system docker || addgroup -S docker'

/** Users whose shell nobody names get bash where there is one, as those of the images do. */
const preferBash = '[ ! -x /bin/bash ] || useradd -D --shell /bin/bash'

/** The user that fleet logs in as, without the name. */
const userOf = ({ authorizedKeys, engine }: FirstBoot): Readonly<Record<string, unknown>> => ({
  ...(engine !== 'none' && { groups: ['docker'] }),
  sudo: 'ALL=(ALL) NOPASSWD:ALL',
  lock_passwd: true,
  ssh_authorized_keys: authorizedKeys,
})

/** Of two users of one name, cloud-init takes what the first one in the list has. */
const whereOf = ({ user, own }: FirstBoot): 'append' | 'prepend' =>
  own !== undefined && speaksOf(own, user) ? 'prepend' : 'append'

/** What joins the lists that are there. */
const additions = (boot: FirstBoot): Part =>
  cloudConfig(
    {
      bootcmd: [
        ...(boot.engine === 'none' ? [] : [makeDockerGroup]),
        preferBash,
        ...(boot.bootCommands ?? []),
      ],
      users: [{ name: boot.user, ...userOf(boot) }],
    },
    `dict(no_replace,recurse_list)+list(${whereOf(boot)})+str()`,
  )

/** The user once more, for `users` as a mapping. Where it is a list, this adds the bare name to it, which makes no difference. */
const userInMapping = (boot: FirstBoot): Part =>
  cloudConfig(
    { users: { [boot.user]: userOf(boot) } },
    'dict(no_replace,recurse_list)+list(append)+str()',
  )

/** The users of a text as a list, which others can be added to. */
const usersAsList = (users: readonly string[]): Part =>
  cloudConfig({ users }, 'dict(replace)+list()+str()')

/** Whom cloud-init makes where nobody says so: naming one more user must not undo it. */
const usualUsers = cloudConfig({ users: ['default'] }, 'dict(no_replace)+list()+str()')

/**
 * The person's own user-data, and what makes it ready for fleet's additions. It comes first, as it would alone: what it says of
 * how it is to be merged (`merge_how`) then has nothing to merge it with.
 */
function ownParts(own: OwnUserData): readonly Part[] {
  const named = usersInText(own)
  return [partOf(own), ...(named === undefined ? [] : [usersAsList(named)]), usualUsers]
}

/**
 * Writes the user-data of a new host: a MIME message whose parts cloud-init merges in this order. The person's own goes
 * first, as it would alone; fleet's lists are added to it, and fleet's settings win. The engine's script has a name
 * before all others, so that theirs find an engine.
 * Throws kind `usage` when the person's is nothing that cloud-init knows, or the user is root.
 */
export function writeUserData(boot: FirstBoot): string {
  const { user, engine, own } = boot
  if (user === 'root') {
    throw new UserError('usage', 'root cannot be the login user of a new host', {
      hint: 'choose another user: it can use sudo without a password',
    })
  }
  return writeMultipart([
    ...(own === undefined ? [] : ownParts(own)),
    additions(boot),
    ...(own === undefined ? [] : [userInMapping(boot)]),
    settings(boot),
    ...(engine === 'none' ? [] : [bootScript(engine ?? {}, user)]),
  ])
}

const bootScript = (engine: EngineWish, user: string): Part => ({
  headers: [
    'Content-Type: text/x-shellscript',
    `Content-Disposition: attachment; filename="${bootScriptName}"`,
  ],
  body: writeBootScript(engine, user),
})

/** What a provider takes. */
interface UserDataLimit {
  /** Before the provider's own encoding, such as base64. */
  readonly maxBytes: number
  /** Whether it hands bytes on as they are, so that cloud-init can unpack them. */
  readonly gzip: boolean
}

const size = (bytes: number): string => `${bytes.toLocaleString('en')} bytes`

/** User-data as a provider takes it: gzip'd only where it has to be. Throws kind `usage` when it is too long. */
export function packUserData(text: string, { maxBytes, gzip }: UserDataLimit): Buffer {
  const plain = Buffer.from(text)
  if (plain.length <= maxBytes) return plain
  const packed = gzip ? gzipSync(plain, { level: 9 }) : plain
  if (packed.length <= maxBytes) return packed
  const packedSize = gzip ? `, compressed ${size(packed.length)}` : ''
  throw new UserError(
    'usage',
    `the user-data has ${size(plain.length)}${packedSize}; the provider allows ${size(maxBytes)}`,
    { hint: 'shorten your own user-data, or load the rest with #include URL' },
  )
}
