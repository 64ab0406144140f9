import { writeJson } from '../../ui/table.ts'
import { defineCommand, flag, required, several } from '../definition.ts'

/** What follows from settings; nothing where they are notes of the inventory alone. */
const sequelOf = (settings: readonly string[], whose: string): string =>
  settings.every((setting) => /^(?:label\.|protected[-=])/.test(setting))
    ? ''
    : `; what that means for ${whose}: fleet plan`

export const set = defineCommand({
  name: 'set',
  summary: 'Change what the entry of a machine says',
  description:
    'Change what the entry of a machine says: label.KEY, protected (true or false), engine (none, a version or a channel), via, userData, and every option of its driver, such as type, disk and tags. The host stays as it is until fleet apply, which changes it in place where its provider can. With --profile, what a profile says, for all machines that extend it: also count.',
  arguments: {
    name: required('name', 'the machine', 'machine'),
    settings: several('settings', 'key=value sets, key- removes'),
  },
  options: { profile: flag('--profile', 'the name is that of a profile') },
  answers: 'json',
  examples: [
    'fleet set web-1 protected=true label.role=web',
    'fleet set web-1 via=bastion engine-',
    'fleet set web-1 type=t3.medium disk=60 && fleet apply',
    'fleet set --profile web count=7',
  ],
  async run({ fleet, io, args, options, format }) {
    const { parseSettings, setMachine } = await import('../../operations/set-machine.ts')
    if (options.profile) {
      const { setProfile } = await import('../../operations/set-profile.ts')
      const profile = await setProfile(fleet, args.name, parseSettings(args.settings))
      if (format.json) writeJson(io, { name: args.name, ...profile })
      else {
        const sequel = sequelOf(args.settings, 'its machines')
        io.stderr.write(`the profile ${args.name} is changed${sequel}\n`)
      }
      return
    }
    const machine = await setMachine(fleet, args.name, parseSettings(args.settings))
    if (format.json) writeJson(io, { ...machine, name: args.name })
    else {
      const sequel = sequelOf(args.settings, 'its host')
      io.stderr.write(`the entry of ${args.name} is changed${sequel}\n`)
    }
  },
})
