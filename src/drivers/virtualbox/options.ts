import * as z from 'zod'
import { localImageOption, localUserOption, sharesOption } from '../options/shared-options.ts'

/** Options for machines in VirtualBox. */
export const virtualBoxOptions = z.strictObject({
  image: localImageOption,
  cpus: z.int().min(1).max(64).default(2).describe('Number of CPUs'),
  memory: z.int().min(256).max(1_048_576).default(2048).describe('Memory in MiB'),
  disk: z
    .int()
    .min(1)
    .max(2048)
    .default(20)
    .describe('Disk size in GiB; unused space is not allocated on this computer'),
  hostOnly: z
    .boolean()
    .default(false)
    .describe('Second network card on a host-only network, which fleet creates if none exists'),
  shares: sharesOption(),
  gui: z.boolean().default(false).describe("Show the machine's screen in a window"),
  user: localUserOption,
})

/** Validated options of a machine in VirtualBox. */
export type VirtualBoxOptions = z.infer<typeof virtualBoxOptions>
