import type { CommandGroup } from '../command.ts'
import { serviceLogs } from './logs.ts'
import { serviceLs } from './ls.ts'
import { servicePs } from './ps.ts'
import { serviceRollback } from './rollback.ts'
import { serviceScale } from './scale.ts'
import { serviceUpdate } from './update.ts'

/** Commands for swarm services. */
export const serviceCommands: CommandGroup = {
  name: 'service',
  summary: 'Show and change swarm services',
  commands: [serviceLs, servicePs, serviceLogs, serviceScale, serviceUpdate, serviceRollback],
}
