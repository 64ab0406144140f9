import * as z from 'zod'
import { parseShares } from '../local-hosts.ts'
import { parseCidrs } from '../net/cidrs.ts'
import { parsePorts } from '../net/ports.ts'

/** The option `sshCidr` for cloud hosts. */
export const sshCidrOption = z
  .string()
  .refine(
    (text) => parseCidrs(text) !== undefined,
    'expected addresses or ranges separated by commas, such as 203.0.113.0/24',
  )
  .optional()
  .describe('Comma-separated addresses and ranges with SSH access (default: your current address)')

/** The option `ports` for cloud hosts. */
export const portsOption = z
  .string()
  .refine(
    (text) => parsePorts(text) !== undefined,
    'expected ports, such as 80,443/tcp,8000-8100/udp',
  )
  .optional()
  .describe('Ports open to everyone, such as 80,443/tcp,8000-8100/udp (default: none)')

/** The option `image` for virtual machines on this computer. */
export const localImageOption = z
  .string()
  .min(1)
  .default('debian-13')
  .describe(
    'Image: debian-12, debian-13, ubuntu-24.04, or your own image with cloud-init as PATH|URL[#sha256=…]',
  )

/**
 * The option `shares` for virtual machines on this computer. `longestName` is the maximum length of a shared
 * directory's name, in characters.
 */
export const sharesOption = (longestName?: number) =>
  z
    .string()
    .refine(
      (text) => parseShares(text)?.every(({ name }) => name.length <= (longestName ?? Infinity)),
      `expected name=/absolute/path,…${longestName === undefined ? '' : ` with names of at most ${longestName} characters`}`,
    )
    .optional()
    .describe(
      'Directories on this computer to share with the machine, as name=/absolute/path,… (default: none)',
    )

/** The option `user` for virtual machines on this computer. */
export const localUserOption = z
  .string()
  .regex(/^[a-z_][a-z0-9_-]{0,31}$/, 'expected a user name')
  .default('fleet')
  .describe('User to create on the host and to log in as')
