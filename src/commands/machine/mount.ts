import { UserError } from '../../errors.ts'
import { shellQuote } from '../../os/shell-quote.ts'
import { passThroughStreams } from '../../ui/io.ts'
import { withProgress } from '../../ui/progress/progress.ts'
import { defineCommand, optional, required, text } from '../command.ts'

export const mount = defineCommand({
  name: 'mount',
  summary: 'Mount a directory from a machine with sshfs',
  description:
    "Mount a remote directory on an empty local directory, using sshfs, which must be installed. Without a path, the login user's home directory is mounted. sshfs connects through fleet, so it works for every machine that fleet ssh can reach, checks the pinned host keys, and reconnects if the connection is lost. Files owned by the login user on the machine appear as your own on this computer.",
  arguments: {
    source: optional('machine[:path]', 'machine, and optionally the directory to mount', 'place'),
    directory: optional('directory', 'empty directory on this computer', 'file'),
  },
  options: {
    unmount: text('-u, --unmount <directory>', 'unmount a directory', 'file'),
  },
  examples: ['fleet mount web-1:/srv ./srv', 'fleet mount web-1 ./home', 'fleet mount -u ./srv'],
  async run({ fleet, io, args: { source, directory }, options: { unmount }, format }) {
    if (unmount !== undefined) {
      if (source !== undefined) {
        throw new UserError('usage', '--unmount takes only a directory on this computer', {
          hint: `to unmount a directory: fleet mount -u ${shellQuote(directory ?? source)}`,
        })
      }
      const { unmountDirectory } = await import('../../operations/mount/mount-directory.ts')
      const unmounted = await unmountDirectory(fleet, unmount, io.cwd)
      io.stderr.write(`unmounted ${unmounted}\n`)
      return
    }
    const [name = '', path = ''] = source?.split(/:(.*)/s) ?? []
    if (name === '' || directory === undefined) {
      throw new UserError('usage', 'specify a machine and a directory on this computer', {
        hint: 'for example: fleet mount web-1:/srv ./srv',
      })
    }
    const { chooseMachine } = await import('../../operations/inventory/choose-machines.ts')
    const { mountDirectory } = await import('../../operations/mount/mount-directory.ts')
    const machine = await chooseMachine(fleet, name)
    const mounted = await withProgress(io, format, machine.name, (report) =>
      mountDirectory(fleet, { machine, path, directory, cwd: io.cwd }, report),
    )
    io.stderr.write(
      `mounted ${mounted.source} on ${mounted.directory}; to unmount it: fleet mount -u ${shellQuote(directory)}\n`,
    )
  },
})

/** The command that sshfs runs instead of ssh. */
export const sftp = defineCommand({
  name: '__sftp',
  summary: "Connect stdin and stdout to a machine's SFTP server",
  arguments: { name: required('name', 'name of the machine', 'machine') },
  hidden: true,
  async run({ fleet, io, args }) {
    const { chooseMachine } = await import('../../operations/inventory/choose-machines.ts')
    const { serveSftp } = await import('../../operations/mount/sftp-server.ts')
    const machine = await chooseMachine(fleet, args.name)
    // A separate connection stays open even if the broker stops.
    return await serveSftp(await fleet.connectApart(machine), passThroughStreams(io))
  },
})
