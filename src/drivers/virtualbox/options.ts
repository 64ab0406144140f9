import * as z from 'zod'
import { parseShares } from '../local-hosts.ts'

/** Options of machines in VirtualBox. */
export const virtualBoxOptions = z.strictObject({
  image: z
    .string()
    .min(1)
    .default('debian-13')
    .describe(
      'Image: debian-12, debian-13, ubuntu-24.04, or your own with cloud-init as PATH|URL[#sha256=…]',
    ),
  cpus: z.int().min(1).max(64).default(2).describe('Number of processors'),
  memory: z.int().min(256).max(1_048_576).default(2048).describe('Memory in MiB'),
  disk: z
    .int()
    .min(1)
    .max(2048)
    .default(20)
    .describe('Size of the disk in GiB; unused space takes no room on this computer'),
  hostOnly: z
    .boolean()
    .default(false)
    .describe('Second network card in a host-only network, which fleet creates if there is none'),
  shares: z
    .string()
    .refine((text) => parseShares(text) !== undefined, 'expected name=/absolute/path,…')
    .optional()
    .describe(
      'Directories on this computer to share with the machine, as name=/absolute/path,… (default: none)',
    ),
  gui: z.boolean().default(false).describe('Show the screen of the machine in a window'),
  user: z
    .string()
    .regex(/^[a-z_][a-z0-9_-]{0,31}$/, 'expected a user name')
    .default('fleet')
    .describe('User to create on the host and to log in as'),
})

/** Validated options of a machine in VirtualBox. */
export type VirtualBoxOptions = z.infer<typeof virtualBoxOptions>
