import { type Syntax, type Word, operandsOf, parseWords } from '../../docker/command-line.ts'
import type { ReadCommand } from '../../docker/verbs.ts'

/**
 * The part of a project that a subcommand of Compose needs from this computer:
 * - `nothing`: the subcommand does not use a project.
 * - `project`: the Compose files, which define the project and its services.
 * - `model`: also the image names, for the logins to their registries.
 * - `mounts`: the files that containers mount.
 * - `contexts`: the build contexts of images, and the files that containers mount.
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

/** Flags of `compose run`. Source: the reference of the Docker CLI, release 28. */
const runSyntax: Syntax = {
  booleans:
    flags(`--build --detach -d --dry-run --help -h --interactive -i --no-deps --no-TTY --no-tty -T
    --quiet --quiet-build --quiet-pull -q --remove-orphans --rm --service-ports -P --use-aliases`),
  shorts: { '-v': '--volume', '-e': '--env' },
  flagsFirst: true,
}

const otherSyntax: Syntax = { booleans: [], shorts: { '-o': '--output', '-w': '--watch' } }

/** The parts of a Compose command line. */
export interface ComposeCommand {
  /** The global flags of docker and the word `compose`, as typed. */
  readonly start: readonly string[]
  /** The global flags of Compose. */
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

/** Parses the subcommand's arguments, to the extent that fleet needs to understand them. */
export const readRest = ({ name, rest }: ComposeCommand): Word[] =>
  parseWords(rest, name === 'run' ? runSyntax : otherSyntax)

/** Returns the arguments that may be service names. Compose starts these services even if their profile is inactive. */
export function mayNameServices(command: ComposeCommand): string[] {
  if (command.name === 'run') return operandsOf(readRest(command)).slice(0, 1)
  return command.rest.filter((word) => !word.startsWith('-'))
}
