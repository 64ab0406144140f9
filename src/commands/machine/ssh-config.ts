import { UserError } from '../../errors.ts'
import { foldNames } from '../../ui/fold-names.ts'
import type { Io } from '../../ui/io.ts'
import { defineCommand, flag } from '../command.ts'
import { requireConsent, yesOption } from '../options/confirmation.ts'

/** Prints the names of the machines that plain ssh cannot connect to. */
export function reportSkipped(io: Pick<Io, 'stderr'>, names: readonly string[]): void {
  if (names.length === 0) return
  io.stderr.write(
    `skipped machines that only fleet can connect to: ${foldNames(names)}; to log in: fleet ssh ${names[0]}\n`,
  )
}

export const sshConfig = defineCommand({
  name: 'ssh-config',
  summary: 'Print an SSH configuration for machines',
  description:
    "Print machines in ~/.ssh/config format, so that ssh, scp, rsync and editors can connect to them by name, using the host keys that fleet has pinned. --include writes this output to fleet's home directory and adds an Include line for it to ~/.ssh/config; use --include again whenever machines change. If a machine name already refers to another host (in ~/.ssh/config, in known_hosts or in DNS), the machine is skipped with a message.",
  options: {
    include: flag('--include', 'add an Include line to ~/.ssh/config'),
    remove: flag(
      '--remove',
      'undo --include: remove the Include line from ~/.ssh/config, and delete the file that it names',
    ),
    yes: yesOption,
  },
  examples: [
    'fleet ssh-config > hosts.conf && ssh -F hosts.conf web-1',
    'fleet ssh-config --include && ssh web-1',
  ],
  async run({ fleet, io, options }) {
    if (options.include && options.remove) {
      throw new UserError('usage', 'specify either --include or --remove')
    }
    const includes = await fleet.sshIncludes()
    if (options.remove) {
      const was = await includes.exclude()
      io.stderr.write(
        was
          ? 'removed the Include line from ~/.ssh/config\n'
          : 'nothing to remove from ~/.ssh/config\n',
      )
      return
    }
    const { describeForSsh } = await import('../../operations/export/ssh-client-config.ts')
    if (options.include) {
      const { line, configuration } = includes
      const { findTakenNames } = await import('../../operations/export/taken-host-names.ts')
      const taken = await findTakenNames(fleet, includes)
      const { config, knownHosts, skipped } = await describeForSsh(
        fleet,
        includes.knownHosts,
        taken,
      )
      reportSkipped(io, skipped)
      for (const [name, why] of taken) {
        const { id } = await (await fleet.inventory()).read()
        io.stderr.write(
          `skipped the name ${name}, because ${why}; to connect to the machine: ssh fleet.${id}.${name}\n`,
        )
      }
      await requireConsent(io, options.yes, `Add the line ${line} to ${configuration}?`)
      await includes.writeKnownHosts(knownHosts)
      await includes.include(config)
      io.stderr.write(
        'ssh can now connect to the machines by name; to undo this: fleet ssh-config --remove\n',
      )
    } else {
      const { config, knownHosts, skipped } = await describeForSsh(fleet, includes.knownHosts)
      reportSkipped(io, skipped)
      await includes.writeKnownHosts(knownHosts)
      io.stdout.write(config)
    }
  },
})
