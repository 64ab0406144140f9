import * as z from 'zod'
import { parseShares } from '../local-hosts.ts'
import { maxShareNameLength } from './shares.ts'

const areShares = (text: string): boolean =>
  parseShares(text)?.every(({ name }) => name.length <= maxShareNameLength) ?? false

/** Options of virtual machines. */
export const qemuOptions = z.strictObject({
  image: z
    .string()
    .min(1)
    .default('debian-13')
    .describe(
      'Image: debian-12, debian-13, ubuntu-24.04, or your own with cloud-init as PATH|URL[#sha256=…]',
    ),
  cpus: z.int().min(1).max(256).default(2).describe('Number of processors'),
  memory: z.int().min(64).default(2048).describe('Memory in MiB'),
  disk: z
    .int()
    .min(1)
    .default(20)
    .describe('Size of the disk in GiB; unused space takes no room on this computer'),
  accelerator: z
    .enum(['auto', 'kvm', 'hvf', 'tcg'])
    .default('auto')
    .describe(
      'Accelerator; auto uses KVM or HVF if they work, otherwise tcg (emulation), which is slow',
    ),
  arch: z
    .enum(['amd64', 'arm64'])
    .optional()
    .describe('Processor architecture (default: that of this computer)'),
  sshPort: z
    .int()
    .min(1024)
    .max(65_535)
    .optional()
    .describe('Port on 127.0.0.1 that forwards to SSH on the machine (default: a free port)'),
  shares: z
    .string()
    .refine(
      areShares,
      `expected name=/absolute/path,…, names of at most ${maxShareNameLength} letters`,
    )
    .optional()
    .describe(
      'Directories on this computer to share with the machine, as name=/absolute/path,… (default: none)',
    ),
  user: z
    .string()
    .regex(/^[a-z_][a-z0-9_-]{0,31}$/, 'expected a user name')
    .default('fleet')
    .describe('User to create on the host and to log in as'),
})
/** Validated options of a virtual machine. */
export type QemuOptions = z.infer<typeof qemuOptions>
