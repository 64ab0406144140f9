import { UserError } from '../../errors.ts'
import { defineCommand, flag } from '../command.ts'
import { requireConsent, yesOption } from '../options/confirmation.ts'

export const sshConfig = defineCommand({
  name: 'ssh-config',
  summary: 'Print the machines for ssh’s own configuration',
  description:
    'Print the machines for ssh’s own configuration, so that ssh, scp, rsync and editors reach them by name, with the host keys that fleet has pinned. --include writes it to fleet’s home and adds one line to ~/.ssh/config; type it again when machines have changed. Machines whose names are other hosts to your ssh already (in ~/.ssh/config, known_hosts or the network) are left out, and named.',
  options: {
    include: flag('--include', 'have ssh read it: adds one line to ~/.ssh/config'),
    remove: flag('--remove', 'take that line, and what it reads, away'),
    yes: yesOption,
  },
  examples: ['fleet ssh-config', 'fleet ssh-config --include && ssh web-1'],
  async run({ fleet, io, options }) {
    if (options.include && options.remove) {
      throw new UserError('usage', '--include and --remove: use one')
    }
    const includes = await fleet.sshIncludes()
    if (options.remove) {
      const was = await includes.exclude()
      io.stderr.write(was ? `ssh reads it no more\n` : 'ssh did not read it\n')
      return
    }
    const { describeForSsh } = await import('../../operations/export/ssh-client-config.ts')
    if (options.include) {
      const { line, configuration } = includes
      const { findTakenNames } = await import('../../operations/export/taken-host-names.ts')
      const taken = await findTakenNames(fleet, includes)
      const { config, knownHosts } = await describeForSsh(fleet, includes.knownHosts, taken)
      for (const [name, why] of taken) {
        const { id } = await (await fleet.inventory()).read()
        io.stderr.write(
          `${name} is left out, since ${why}; ssh reaches the machine as fleet.${id}.${name}\n`,
        )
      }
      await requireConsent(io, options.yes, `Add the line ${line} to ${configuration}?`)
      await includes.writeKnownHosts(knownHosts)
      await includes.include(config)
      io.stderr.write(`ssh knows the machines; fleet ssh-config --remove takes that back\n`)
    } else {
      const { config, knownHosts } = await describeForSsh(fleet, includes.knownHosts)
      await includes.writeKnownHosts(knownHosts)
      io.stdout.write(config)
    }
  },
})
