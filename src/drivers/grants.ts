import { parseShares } from './local-hosts.ts'

/**
 * What the options of a host give it access to, on this computer or its network, shown to the user
 * before it is created.
 */
export interface Grant {
  /** A phrase: `the image /home/ana/disk.qcow2 on this computer`. */
  readonly what: string
  /**
   * The file or folder of this computer, possibly relative to the inventory's folder. Outside that
   * folder, the user must confirm it.
   */
  readonly path?: string
  /**
   * Whether it is a socket where no engine is known to listen. The user must confirm it wherever it
   * is.
   */
  readonly isUnknownSocket?: boolean
}

/** Grants for shared folders, in the format of {@link parseShares}. */
export const folderGrants = (shares: string | undefined): readonly Grant[] =>
  (parseShares(shares ?? '') ?? []).map(({ name, path }) => ({
    what: `the directory ${path} on this computer, shared as ${name} with write access`,
    path,
  }))

/** Grants for an image that is not one of fleet's names: `NAME|PATH|URL[#sha256=…]`. */
export function imageGrants(image: string | undefined): readonly Grant[] {
  const [, rest = '', checksum] = /^([^#]*)(#.*)?$/s.exec(image ?? '') ?? []
  if (/^https?:/i.test(rest)) {
    return [{ what: `the image ${rest}${checksum === undefined ? ', without a checksum' : ''}` }]
  }
  const isPath = /[/\\]|\.(?:raw|img|qcow2|vmdk|vdi|ova)$/i.test(rest)
  return isPath ? [{ what: `the image ${rest} on this computer`, path: rest }] : []
}

/** Grants for ports and SSH that are reachable from the network. */
export const networkGrants = ({
  ports,
  sshCidr,
}: {
  readonly ports?: string | undefined
  readonly sshCidr?: string | undefined
}): readonly Grant[] => [
  ...(ports === undefined ? [] : [{ what: `ports ${ports}, open to everyone` }]),
  ...(sshCidr === undefined ? [] : [{ what: `SSH, open to ${sshCidr}` }]),
]
