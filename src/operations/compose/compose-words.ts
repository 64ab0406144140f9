import { type Syntax, type Word, operandsOf, parseWords } from '../../docker/command-line.ts'
import type { ReadCommand } from '../../docker/verbs.ts'

/**
 * What a subcommand of compose needs of this computer:
 * - `nothing`: it is about no project.
 * - `project`: the compose files, to know the project and its services.
 * - `model`: the images too, for the logins to their registries.
 * - `mounts`: the files that containers mount.
 * - `contexts`: the folders that images are built from, and the files that containers mount.
 */
type Need = 'nothing' | 'project' | 'model' | 'mounts' | 'contexts'

const needs = new Map<string, Need>(
  Object.entries({
    help: 'nothing',
    ls: 'nothing',
    version: 'nothing',
    build: 'contexts',
    create: 'contexts',
    pull: 'model',
    push: 'model',
    restart: 'mounts',
    run: 'contexts',
    scale: 'contexts',
    start: 'mounts',
    up: 'contexts',
    watch: 'contexts',
  }),
)

const flags = (names: string): string[] => names.split(/\s+/)

/** Flags of `compose run`. Source: the reference of the docker command line, release 28. */
const runSyntax: Syntax = {
  booleans:
    flags(`--build --detach -d --dry-run --help -h --interactive -i --no-deps --no-TTY --no-tty -T
    --quiet --quiet-build --quiet-pull -q --remove-orphans --rm --service-ports -P --use-aliases`),
  shorts: { '-v': '--volume', '-e': '--env' },
  flagsFirst: true,
}

const otherSyntax: Syntax = { booleans: [], shorts: { '-o': '--output', '-w': '--watch' } }

/** A command line of compose, in its parts. */
export interface ComposeCommand {
  /** docker's own flags and `compose`, as they were typed. */
  readonly start: readonly string[]
  /** compose's own flags. */
  readonly flags: readonly Word[]
  /** The subcommand; absent where only help was asked for. */
  readonly name: string | undefined
  /** The words behind the subcommand, as they were typed. */
  readonly rest: readonly string[]
  readonly needs: Need
}

/** Reads the words of `docker compose`. */
export function readCompose({ start, words }: ReadCommand): ComposeCommand {
  const [name, ...rest] = operandsOf(words)
  const isAboutNothing = name === undefined || rest[0] === '--help' || rest[0] === '-h'
  return {
    start,
    flags: words.filter(({ kind }) => kind === 'flag'),
    name,
    rest,
    needs: isAboutNothing ? 'nothing' : (needs.get(name) ?? 'project'),
  }
}

/** The words behind the subcommand, read as far as fleet must. */
export const readRest = ({ name, rest }: ComposeCommand): Word[] =>
  parseWords(rest, name === 'run' ? runSyntax : otherSyntax)

/** Words that may be names of services: those that may be told to start even where their profile is off. */
export function mayNameServices(command: ComposeCommand): string[] {
  if (command.name === 'run') return operandsOf(readRest(command)).slice(0, 1)
  return command.rest.filter((word) => !word.startsWith('-'))
}
