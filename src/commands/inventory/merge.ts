import { dirname, resolve } from 'node:path'
import { UserError, exitCodes } from '../../errors.ts'
import { shellQuote } from '../../os/shell-quote.ts'
import { writeJson } from '../../ui/table.ts'
import { any, defineCommand, flag } from '../command.ts'

export const merge = defineCommand({
  name: 'merge',
  summary: 'Resolve merge conflicts in the inventory',
  description:
    "Resolve git merge conflicts in the inventory by merging both branches entry by entry. After fleet merge --install, git does this automatically in this clone, and ignores fleet's temporary files.",
  arguments: {
    files: any(
      'files',
      'files passed by git: base, ours and theirs (the result is written to ours)',
      'file',
    ),
  },
  options: { install: flag('--install', 'configure git to use fleet merge in this clone') },
  answers: 'json',
  examples: ['fleet merge && git add machines.yaml', 'fleet merge --install'],
  async run({ fleet, io, args, options, format }) {
    const [base, ours, theirs] = args.files.map((file) => resolve(io.cwd, file))
    if (args.files.length !== 0 && args.files.length !== 3) {
      throw new UserError('usage', 'a merge requires three files: base, ours and theirs')
    }
    if (options.install) {
      const inventory = await fleet.inventory()
      const { location } = inventory
      await inventory.read() // throws if there is no inventory
      const { configureGit } = await import('../../state/merge/git-merge-driver.ts')
      const setup = await configureGit(location, fleet.env)
      if (setup === undefined) {
        throw new UserError('inventory', `${location} is not in a git repository`, {
          hint: `to create a repository: git init ${shellQuote(dirname(location))}`,
        })
      }
      const { files, failure } = setup
      if (failure !== undefined) {
        throw new UserError('failed', `git was not configured to use fleet merge: ${failure}`)
      }
      if (format.json) {
        writeJson(io, { files })
        return undefined
      }
      for (const file of files) io.stderr.write(`wrote ${file}\n`)
      io.stderr.write(
        'from now on, git will merge the inventory one entry at a time in this clone\n',
      )
      return undefined
    }
    const { mergeConflicted, mergeFiles } =
      await import('../../operations/inventory/merge-inventory.ts')
    const isForGit = base !== undefined && ours !== undefined && theirs !== undefined
    const conflicts = isForGit
      ? await mergeFiles(fleet, [base, ours, theirs])
      : await mergeConflicted(fleet, (await fleet.inventory()).location)
    if (format.json) writeJson(io, { conflicts })
    else for (const conflict of conflicts) io.stderr.write(`${conflict}\n`)
    if (!isForGit && !format.json) {
      io.stderr.write(
        conflicts.length > 0
          ? 'resolve the marked conflicts, then run git add\n'
          : 'merged; run git add, then continue the merge or rebase\n',
      )
    }
    return conflicts.length > 0 ? exitCodes.inventory : exitCodes.ok
  },
})
