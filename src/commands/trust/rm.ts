import { writeJson } from '../../ui/table.ts'
import { any, defineCommand } from '../command.ts'

export const trustRm = defineCommand({
  name: 'rm',
  summary: 'Stop trusting drivers, paths, aliases and variables',
  description:
    'Stop trusting drivers that are shipped with the inventory, and stop allowing its machines to use paths, SSH aliases and variables. Without names, fleet stops trusting everything for this inventory, including the inventory itself if another user can change it.',
  arguments: {
    names: any('names', 'drivers, paths, SSH aliases or variables to stop trusting', 'driver'),
  },
  answers: 'json',
  examples: ['fleet trust rm acme', 'fleet trust rm /home/ana/code', 'fleet trust rm'],
  async run({ fleet, io, args, format }) {
    const { revokeTrust } = await import('../../operations/trust/trust-driver.ts')
    const revoked = await revokeTrust(fleet, args.names)
    if (format.json) writeJson(io, revoked)
    else if (revoked.length === 0)
      io.stderr.write('nothing to revoke: this inventory has no trusted drivers or allowed items\n')
    else io.stderr.write(`no longer trusted: ${revoked.join(', ')}\n`)
  },
})
