import type { CommandGroup } from '../command.ts'
import { stackAdopt } from './adopt.ts'
import { stackLogs } from './logs.ts'
import { stackLs } from './ls.ts'
import { stackPs } from './ps.ts'
import { stackRm } from './rm.ts'
import { stackRollback } from './rollback.ts'

/** Commands for stacks on hosts. */
export const stackCommands: CommandGroup = {
  name: 'stack',
  summary: 'Manage stacks that are deployed from Compose files',
  commands: [stackLs, stackPs, stackLogs, stackRollback, stackAdopt, stackRm],
}
