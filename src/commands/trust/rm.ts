import { writeJson } from '../../ui/table.ts'
import { any, defineCommand } from '../command.ts'

export const trustRm = defineCommand({
  name: 'rm',
  summary: 'Stop trusting drivers, paths and aliases',
  description:
    'Stop trusting drivers of the inventory, and paths and SSH aliases that its machines may use. Without names, all of them are removed, and also the trust in the inventory itself if it belongs to another user.',
  arguments: { names: any('names', 'names of drivers, paths, and SSH aliases', 'driver') },
  answers: 'json',
  examples: ['fleet trust rm acme', 'fleet trust rm /home/ana/code', 'fleet trust rm'],
  async run({ fleet, io, args, format }) {
    const { revokeTrust } = await import('../../operations/trust/trust-driver.ts')
    const revoked = await revokeTrust(fleet, args.names)
    if (format.json) writeJson(io, revoked)
    else if (revoked.length === 0) io.stderr.write('nothing was trusted for this inventory\n')
    else io.stderr.write(`no longer trusted: ${revoked.join(', ')}\n`)
  },
})
