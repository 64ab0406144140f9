import { UserError } from '../../errors.ts'
import { askQuestion, canPrompt } from '../../ui/prompt.ts'
import { writeRows } from '../../ui/table.ts'
import { defineCommand, flag, required } from '../command.ts'
import { readSecret } from '../options/read-secret.ts'
import { commonOptions } from '../options/common-options.ts'
import { defaultTimeoutMs } from '../multi/query-engines.ts'
import { summarize, workOnMachines } from '../multi/work-on-machines.ts'
import { chooseSwarms } from './read-states.ts'

/** A manager that was unlocked. */
export interface Unlocked {
  readonly swarm: string
  readonly machine: string
}

export const swarmUnlock = defineCommand({
  name: 'unlock',
  summary: "Unlock a swarm's managers",
  description:
    'In a swarm with autolock, unlock managers whose engines have restarted. fleet reads the unlock key from a manager that is not locked. If all managers are locked, fleet prompts for the key. fleet does not store or show the key, and does not pass it on a command line. Save the output of docker swarm unlock-key beforehand, in case all managers are locked.',
  arguments: { swarm: required('swarm', 'name of the swarm', 'swarm') },
  options: {
    keyStdin: flag('--key-stdin', 'read the unlock key from stdin'),
    timeout: commonOptions.timeout,
  },
  answers: 'names',
  examples: ['fleet swarm unlock prod', 'pass show prod-key | fleet swarm unlock prod --key-stdin'],
  async run({ fleet, io, args, options, format }) {
    await chooseSwarms({ fleet }, [args.swarm])
    const { findLocked, findUnlockKey, unlockMember } =
      await import('../../operations/swarm/unlock-members.ts')
    const timeoutMs = options.timeout === undefined ? defaultTimeoutMs : options.timeout * 1000
    const { machines } = await findLocked(fleet, args.swarm, { timeoutMs })
    const readKey = async (): Promise<string> => {
      const known = await findUnlockKey(fleet, args.swarm, fleet.signal)
      if (known !== undefined) return known
      if (!canPrompt(io)) {
        const why = `no manager of swarm ${args.swarm} can provide the unlock key, and fleet cannot prompt for it without a terminal`
        throw new UserError('usage', why, { hint: 'write the key to stdin, and pass --key-stdin' })
      }
      const text = `Unlock key for swarm ${args.swarm}:`
      return (await askQuestion(io, { text, secret: true })).trim()
    }
    const given = options.keyStdin ? (await readSecret(io, 'unlock key')).trim() : undefined
    const key = machines.length === 0 ? '' : (given ?? (await readKey()))
    const outcomes = await workOnMachines({ fleet, io, format }, machines, (machine, calls) =>
      unlockMember(fleet, { swarm: args.swarm, machine, key }, calls),
    )
    const { values, code } = summarize({ io, format }, outcomes)
    await writeRows<Unlocked>(io, format, {
      rows: values,
      columns: [
        { title: 'SWARM', text: ({ swarm }) => swarm, keep: true },
        { title: 'MACHINE', text: ({ machine }) => machine, keep: true },
      ],
      name: ({ machine }) => machine,
    })
    if (machines.length === 0 && !format.json) {
      io.stderr.write(`no manager of swarm ${args.swarm} is locked\n`)
    }
    return code
  },
})
