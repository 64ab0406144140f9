import * as z from 'zod'
import { localImageOption, localUserOption, sharesOption } from '../options/shared-options.ts'
import { maxShareNameLength } from './shares.ts'

/** Options for virtual machines that QEMU runs. */
export const qemuOptions = z.strictObject({
  image: localImageOption,
  cpus: z.int().min(1).max(256).default(2).describe('Number of CPUs'),
  memory: z.int().min(64).default(2048).describe('Memory in MiB'),
  disk: z
    .int()
    .min(1)
    .default(20)
    .describe('Disk size in GiB; unused space is not allocated on this computer'),
  accelerator: z
    .enum(['auto', 'kvm', 'hvf', 'tcg'])
    .default('auto')
    .describe('Accelerator; auto uses KVM or HVF if available, otherwise tcg (slow emulation)'),
  arch: z
    .enum(['amd64', 'arm64'])
    .optional()
    .describe("Processor architecture (default: this computer's architecture)"),
  sshPort: z
    .int()
    .min(1024)
    .max(65_535)
    .optional()
    .describe('Port on 127.0.0.1 that forwards to SSH on the machine (default: a free port)'),
  shares: sharesOption(maxShareNameLength),
  user: localUserOption,
})
/** Validated options of a virtual machine. */
export type QemuOptions = z.infer<typeof qemuOptions>
