import type { CommandGroup } from '../command.ts'
import { swarmCheck } from './check.ts'
import { swarmLs } from './ls.ts'
import { swarmRecover } from './recover.ts'
import { swarmRotate } from './rotate.ts'
import { swarmStatus } from './status.ts'
import { swarmUnlock } from './unlock.ts'

/** Commands for clusters of engines. */
export const swarmCommands: CommandGroup = {
  name: 'swarm',
  summary: 'Manage swarms: machines whose engines form a cluster',
  commands: [swarmLs, swarmStatus, swarmCheck, swarmUnlock, swarmRecover, swarmRotate],
}
