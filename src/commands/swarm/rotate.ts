import { exitCodes } from '../../errors.ts'
import { withProgress } from '../../ui/progress/progress.ts'
import { writeJson } from '../../ui/table.ts'
import { defineCommand, flag, required } from '../command.ts'
import { requireConsent, yesOption } from '../options/confirmation.ts'
import { chooseSwarms } from './read-states.ts'

/** The secrets that were replaced. */
export interface Rotated {
  readonly swarm: string
  readonly rotated: readonly ('join tokens' | 'unlock key' | 'certificates')[]
}

export const swarmRotate = defineCommand({
  name: 'rotate',
  summary: "Replace a swarm's tokens, keys or certificates",
  description:
    "Replace a swarm's join tokens, so that the old ones are no longer valid. With --unlock-key or --ca, replace the managers' unlock key or all node certificates instead of the tokens. fleet does not store tokens or keys: it reads them from a manager when needed.",
  arguments: { swarm: required('swarm', 'name of the swarm', 'swarm') },
  options: {
    tokens: flag('--tokens', 'with --unlock-key or --ca, also replace the join tokens'),
    unlockKey: flag('--unlock-key', 'replace the unlock key (only with autolock)'),
    ca: flag('--ca', 'replace the certificate authority and all node certificates'),
    yes: yesOption,
  },
  answers: 'json',
  examples: ['fleet swarm rotate prod', 'fleet swarm rotate prod --unlock-key --yes'],
  async run({ fleet, io, args, options, format }) {
    await chooseSwarms({ fleet }, [args.swarm])
    const tokens = options.tokens || !(options.unlockKey || options.ca)
    const rotated: Rotated['rotated'] = [
      ...(tokens ? (['join tokens'] as const) : []),
      ...(options.unlockKey ? (['unlock key'] as const) : []),
      ...(options.ca ? (['certificates'] as const) : []),
    ]
    const what = rotated.join(', ').replace(/, (?=[^,]*$)/, ' and ')
    await requireConsent(io, options.yes, `Replace the ${what} of swarm ${args.swarm}?`)
    const { rotateSecrets } = await import('../../operations/swarm/rotate-secrets.ts')
    await withProgress(
      io,
      format,
      'rotate',
      (progress) => {
        progress(`replace ${what}`)
        const { unlockKey, ca } = options
        return rotateSecrets(fleet, args.swarm, { tokens, unlockKey, ca }, progress)
      },
      { isMachine: false },
    )
    if (format.json) writeJson(io, { swarm: args.swarm, rotated })
    else {
      io.stderr.write(`replaced the ${what} of swarm ${args.swarm}\n`)
      if (options.unlockKey) {
        io.stderr.write(
          'to print the new unlock key, so that you can save it: fleet -m MANAGER docker swarm unlock-key\n',
        )
      }
    }
    return exitCodes.ok
  },
})
