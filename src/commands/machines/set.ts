import { exitCodes, UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import { writeJson } from '../../ui/table.ts'
import { type Invocation, any, defineCommand, flag, machineArgument } from '../definition.ts'
import { nothingChanged, sumUp } from './work-on-machines.ts'

const asJson = ({ name, ...machine }: Machine) => ({ ...machine, name })

/** What follows from settings; nothing where they are notes of the inventory alone. */
const sequelOf = (settings: readonly string[], whose: string): string =>
  settings.every((setting) => /^(?:label\.|protected[-=])/.test(setting))
    ? ''
    : `; what that means for ${whose}: fleet plan`

/** Changes what a profile says. */
async function setProfileOf(
  { fleet, io, format, targets }: Pick<Invocation, 'fleet' | 'io' | 'format' | 'targets'>,
  settings: readonly string[],
): Promise<void> {
  const { parseSettings } = await import('../../operations/set-machine.ts')
  const { setProfile } = await import('../../operations/set-profile.ts')
  const [name] = targets.names
  if (name === undefined) {
    throw new UserError('usage', 'with --profile, name one profile: options choose machines only', {
      hint: 'fleet set --profile NAME KEY=VALUE',
    })
  }
  const profile = await setProfile(fleet, name, parseSettings(settings))
  if (format.json) writeJson(io, { name, ...profile })
  else {
    const sequel = sequelOf(settings, 'its machines')
    io.stderr.write(`the profile ${name} is changed${sequel}\n`)
  }
}

export const set = defineCommand({
  name: 'set',
  summary: 'Change what the entries of machines say',
  description:
    'Change what the entry of a machine says: label.KEY, protected (true or false), engine (none, a version or a channel), via, userData, and every option of its driver, such as type, disk and tags. The host stays as it is until fleet apply, which changes it in place where its provider can. With --on, the entries of several machines: of all of them, or of none where one cannot be changed. With --profile, what a profile says, for all machines that extend it: also count.',
  arguments: {
    name: {
      ...machineArgument('the machine; with --profile, the profile', 'required'),
      completes: 'set-name',
    },
    settings: any('settings', 'key=value sets, key- removes; at least one', 'setting'),
  },
  options: { profile: flag('--profile', 'the name is that of a profile') },
  targets: 'many',
  allAtOnce: true,
  answers: 'json',
  examples: [
    'fleet set web-1 protected=true label.role=web',
    'fleet set web-1 via=bastion engine-',
    'fleet set web-1 type=t3.medium disk=60 && fleet apply',
    'fleet set --on role=web protected=true',
    'fleet set --profile web count=7',
  ],
  async run({ fleet, io, args: { settings }, options, targets, format }) {
    if (settings.length === 0) {
      const [word = ''] = targets.names
      throw new UserError(
        'usage',
        targets.on.length === 0 && (word === '' || word.includes('='))
          ? 'no machine was named'
          : 'there is nothing to set',
        { hint: 'fleet set NAME key=value, or fleet set --on SELECTOR key=value; key- removes' },
      )
    }
    if (options.profile) {
      await setProfileOf({ fleet, io, targets, format }, settings)
      return exitCodes.ok
    }
    const { choosesMany, namedMachines } = await import('../../operations/choose-machines.ts')
    const { parseSettings, setMachines } = await import('../../operations/set-machine.ts')
    const words = parseSettings(settings)
    const machines = await namedMachines(fleet, targets)
    const outcomes = await setMachines(fleet, machines, words)
    if (!choosesMany(targets)) {
      const { onlyValue } = await import('../../operations/edit-entries.ts')
      const machine = onlyValue(outcomes)
      const sequel = sequelOf(settings, 'its host')
      if (format.json) writeJson(io, asJson(machine))
      else io.stderr.write(`the entry of ${machine.name} is changed${sequel}\n`)
      return exitCodes.ok
    }
    const { values, code } = sumUp({ io, format }, outcomes)
    if (code !== exitCodes.ok) return nothingChanged({ io, format })
    if (format.json) writeJson(io, values.map(asJson))
    else {
      for (const { name } of values) io.stderr.write(`the entry of ${name} is changed\n`)
      const sequel = sequelOf(settings, 'their hosts')
      if (sequel !== '') io.stderr.write(`${sequel.replace(/^; /, '')}\n`)
    }
    return code
  },
})
