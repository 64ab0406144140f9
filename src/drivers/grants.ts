import { parseShares } from './local-hosts.ts'

/**
 * Access to this computer or its network that a host's options give to the host. It is shown to the user before the
 * host is created.
 */
export interface Grant {
  /** A phrase for messages, such as `the image /home/ana/disk.qcow2 on this computer`. */
  readonly what: string
  /**
   * The file or directory on this computer, possibly relative to the inventory's directory. The
   * user must confirm a path outside that directory.
   */
  readonly path?: string
  /**
   * Whether the path is a socket on which no engine is known to listen. The user must confirm such a path even in the
   * inventory's directory.
   */
  readonly isUnknownSocket?: boolean
}

/** Returns grants for shared directories, which are given in the format of {@link parseShares}. */
export const folderGrants = (shares: string | undefined): readonly Grant[] =>
  (parseShares(shares ?? '') ?? []).map(({ name, path }) => ({
    what: `the directory ${path} on this computer, shared as ${name} with write access`,
    path,
  }))

/** Returns grants for an image, `NAME|PATH|URL[#sha256=…]`. An image that fleet knows by name needs no grant. */
export function imageGrants(image: string | undefined): readonly Grant[] {
  const [, rest = '', checksum] = /^([^#]*)(#.*)?$/s.exec(image ?? '') ?? []
  if (/^https?:/i.test(rest)) {
    return [{ what: `the image ${rest}${checksum === undefined ? ', without a checksum' : ''}` }]
  }
  const isPath = /[/\\]|\.(?:raw|img|qcow2|vmdk|vdi|ova)$/i.test(rest)
  return isPath ? [{ what: `the image ${rest} on this computer`, path: rest }] : []
}

/** Returns grants for ports and SSH that are reachable from the network. */
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
