import { UserError } from '../../errors.ts'

/** Verbs for which docker has its own `-m` option, which sets a memory limit or a message. */
const takesM =
  /^(?:run|create|build|(?:container )?(?:run|create|update|commit)|image (?:build|import))$/

/** Verbs for which docker has its own `--all` option. */
const takesAll = /^image prune$/

/** Verbs whose first operand is followed by a command to run in a container. */
const runsCommand = /^(?:container )?(?:run|create|exec)$/

/**
 * Refuses fleet's `--all` and `-m` options after a verb that is passed to docker, if docker has no such option and its
 * error message would be misleading. Throws kind `usage`.
 */
export function checkPlacement(prefix: readonly string[], words: readonly string[]): void {
  const verb = prefix.join(' ')
  if (verb === '' || verb === 'compose') return
  const end = words.findIndex(
    (word) => word === '--' || (runsCommand.test(verb) && !word.startsWith('-')),
  )
  const flags = end === -1 ? words : words.slice(0, end)
  const misplaced = flags.find(
    (word) => (word === '--all' && !takesAll.test(verb)) || (word === '-m' && !takesM.test(verb)),
  )
  if (misplaced === undefined) return
  const example = misplaced === '-m' ? '-m NAME' : misplaced
  throw new UserError(
    'usage',
    `docker ${verb} has no ${misplaced} option; the fleet option must come before ${verb}`,
    {
      hint: `for example: fleet ${example} ${verb} …`,
    },
  )
}
