import { UserError } from '../../errors.ts'
import { defineCommand } from '../definition.ts'

/** What the first command that needs a machine starts in the background. */
export const brokerServe = defineCommand({
  name: 'serve',
  summary: 'Keep connections warm until nobody has used them for a while',
  hidden: true,
  async run({ io }) {
    if (io.program === undefined) throw new UserError('unsupported', 'only fleet itself can serve')
    const { runBroker } = await import('../../broker.ts')
    await runBroker({ env: io.env, signal: io.signal, build: io.program.build })
  },
})
