import type { CommandGroup } from '../command.ts'
import { swarmLs } from './ls.ts'
import { swarmStatus } from './status.ts'

/** Commands for clusters of engines. */
export const swarmCommands: CommandGroup = {
  name: 'swarm',
  summary: 'Show swarms: machines whose engines form a cluster',
  commands: [swarmLs, swarmStatus],
}
