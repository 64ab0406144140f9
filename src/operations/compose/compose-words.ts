import { type Syntax, type Word, operandsOf, parseWords } from '../../docker/command-line.ts'
import type { ReadCommand } from '../../docker/verbs.ts'

/**
 * What a subcommand of compose needs from this computer:
 * - `nothing`: it does not use a project.
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
  /** The global flags of docker and `compose`, as typed. */
  readonly start: readonly string[]
  /** The global flags of compose. */
  readonly flags: readonly Word[]
  /** The subcommand; absent for help. */
  readonly name: string | undefined
  /** The arguments of the subcommand, as typed. */
  readonly rest: readonly string[]
  readonly needs: Need
}

/** Parses the arguments of `docker compose`. */
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

/** Parses the arguments of the subcommand, as far as needed. */
export const readRest = ({ name, rest }: ComposeCommand): Word[] =>
  parseWords(rest, name === 'run' ? runSyntax : otherSyntax)

/** Arguments that may be names of services, which start even if their profile is inactive. */
export function mayNameServices(command: ComposeCommand): string[] {
  if (command.name === 'run') return operandsOf(readRest(command)).slice(0, 1)
  return command.rest.filter((word) => !word.startsWith('-'))
}
