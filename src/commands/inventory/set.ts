import { exitCodes, UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { FieldChange } from '../../operations/inventory/describe-changes.ts'
import { shellQuote } from '../../os/shell-quote.ts'
import { writeJson } from '../../ui/table.ts'
import { type Invocation, any, defineCommand, flag, machineArgument } from '../command.ts'
import { nothingChanged, summarize } from '../multi/work-on-machines.ts'

const asJson = ({ name, ...machine }: Machine) => ({ ...machine, name })

/** Describes the old and new values of changed fields. */
function describeSet(whose: string, changes: readonly FieldChange[]): string {
  if (changes.length === 0) return `${whose} is unchanged: the values are already set\n`
  const lines = changes.map(
    ({ key, from = '(not set)', to = '(not set)' }) => `${whose}: ${key}: ${from} -> ${to}\n`,
  )
  return lines.join('')
}

/** Whether the changes also affect the host. Labels, for example, exist only in the inventory. */
const concernsHost = (changes: readonly FieldChange[]): boolean =>
  changes.some(({ key }) => !key.startsWith('label.') && key !== 'protected')

/** Describes the command to run next, which applies the changes to the hosts. */
function describeNext(machines: readonly Machine[], on: readonly string[]): string {
  const [first] = machines
  if (first === undefined) return ''
  if (machines.every(({ host }) => host === undefined)) {
    const names = machines.map(({ name }) => name).join(' ')
    return `next: fleet create ${names}\n`
  }
  const chosen = on.length === 0 ? [first.name] : on
  const selectors = chosen.map(shellQuote).join(' --on ')
  return `next: fleet apply --on ${selectors} (to preview the changes: fleet plan --on ${selectors})\n`
}

/** Changes a profile. */
async function setProfileOf(
  { fleet, io, format, targets }: Pick<Invocation, 'fleet' | 'io' | 'format' | 'targets'>,
  settings: readonly string[],
): Promise<void> {
  const { parseSettings } = await import('../../operations/inventory/set-machine.ts')
  const { setProfile } = await import('../../operations/inventory/set-profile.ts')
  const [name] = targets.names
  if (name === undefined) {
    throw new UserError(
      'usage',
      '--profile requires a profile name; --on and --machine select only machines',
      {
        hint: 'to change a profile: fleet set --profile NAME KEY=VALUE',
      },
    )
  }
  const { profile, changes } = await setProfile(fleet, name, parseSettings(settings))
  if (format.json) writeJson(io, { name, ...profile })
  else {
    io.stderr.write(describeSet(`profile ${name}`, changes))
    if (concernsHost(changes)) {
      io.stderr.write('next: fleet apply (to preview the changes: fleet plan)\n')
    }
  }
}

export const set = defineCommand({
  name: 'set',
  summary: 'Change machine settings in the inventory',
  description:
    "Change a machine's entry in the inventory. The settings are label.KEY, protected (true or false), engine (none, a version or a channel), via, userData, and all driver options, such as type, disk and tags. The host is not changed until you run fleet apply, which changes it in place if the provider supports that. With --on, several entries are changed; if any of them cannot be changed, none are changed. With --profile, fleet changes a profile, which affects all machines that extend it. Profiles also have a count setting.",
  arguments: {
    name: {
      ...machineArgument('name of the machine; with --profile, name of the profile', 'required'),
      completes: 'set-name',
    },
    settings: any(
      'settings',
      'key=value to set a value, key- to remove it (at least one)',
      'setting',
    ),
  },
  options: { profile: flag('--profile', 'change a profile instead of a machine') },
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
          ? 'no machine was specified'
          : 'no setting was specified',
        {
          hint: 'to set a value: fleet set NAME key=value, or fleet set --on SELECTOR key=value; to remove a value: fleet set NAME key-',
        },
      )
    }
    if (options.profile) {
      await setProfileOf({ fleet, io, targets, format }, settings)
      return exitCodes.ok
    }
    const { choosesMany, namedMachines } =
      await import('../../operations/inventory/choose-machines.ts')
    const { parseSettings, setMachines } = await import('../../operations/inventory/set-machine.ts')
    const words = parseSettings(settings)
    const machines = await namedMachines(fleet, targets)
    const outcomes = await setMachines(fleet, machines, words)
    const isOne = !choosesMany(targets)
    if (isOne) {
      const { onlyValue } = await import('../../operations/inventory/edit-entries.ts')
      onlyValue(outcomes)
    }
    const { values, code } = summarize({ io, format }, outcomes)
    if (code !== exitCodes.ok) return nothingChanged({ io, format })
    if (format.json) {
      writeJson(io, isOne ? values.map(asJson)[0] : values.map(asJson))
      return code
    }
    const { changedFields } = await import('../../operations/inventory/describe-changes.ts')
    const concerned: Machine[] = []
    for (const outcome of outcomes) {
      if ('error' in outcome) continue
      const changes = changedFields(outcome.machine, outcome.value)
      io.stderr.write(describeSet(outcome.value.name, changes))
      if (concernsHost(changes)) concerned.push(outcome.value)
    }
    io.stderr.write(describeNext(concerned, targets.on))
    return code
  },
})
