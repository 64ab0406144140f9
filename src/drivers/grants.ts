import { parseShares } from './shared-folders.ts'

/** Something that a host is given by its options and that a person should see before: of this computer, or of its network. */
export interface Grant {
  /** What it is, as a phrase: `folder /home/ana/code of this computer, writable, as code`. */
  readonly what: string
  /**
   * The file or folder of this computer that this takes. It may begin at the inventory's folder. One that is not in that folder takes
   * a consent of its own.
   */
  readonly path?: string
  /** It is a socket on which no engine is known to listen: it takes a consent wherever it is. */
  readonly isOddSocket?: boolean
}

/** The folders that a host shares with this computer, as {@link parseShares} reads them. */
export const folderGrants = (shares: string | undefined): readonly Grant[] =>
  (parseShares(shares ?? '') ?? []).map(({ name, path }) => ({
    what: `folder ${path} of this computer, writable, as ${name}`,
    path,
  }))

/** The image that a host starts from, where it is none of fleet's own: `NAME|PATH|URL[#sha256=…]`. */
export function imageGrants(image: string | undefined): readonly Grant[] {
  const [, rest = '', checksum] = /^([^#]*)(#.*)?$/s.exec(image ?? '') ?? []
  if (/^https?:/i.test(rest)) {
    return [{ what: `image ${rest}${checksum === undefined ? ', without a checksum' : ''}` }]
  }
  const isPath = /[/\\]|\.(?:raw|img|qcow2|vmdk|vdi|ova)$/i.test(rest)
  return isPath ? [{ what: `image ${rest} of this computer`, path: rest }] : []
}

/** Who reaches a host from outside. */
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
