import { type Syntax, type Word, formatWords, parseWords } from './command-line.ts'

const flags = (names: string): string[] => names.split(/\s+/)

/**
 * The verbs whose flags fleet must parse when docker runs on the host, because they name local files, variables
 * or logins. All other verbs are passed on unparsed. Source: the reference of the docker command line, release
 * 28.
 */
export const verbs = {
  build: {
    spellings: ['build', 'image build', 'builder build', 'buildx build', 'buildx b'],
    booleans: flags(`--check --compress --debug -D --disable-content-trust --force-rm --help --load
      --no-cache --pull --push --quiet --rm --squash`),
    shorts: { '-f': '--file', '-o': '--output', '-q': '--quiet', '-t': '--tag' },
  },
  run: {
    spellings: ['run', 'container run', 'create', 'container create'],
    booleans: flags(`--detach -d --disable-content-trust --help --init --interactive -i
      --no-healthcheck --oom-kill-disable --privileged --publish-all -P --quiet -q --read-only --rm
      --sig-proxy --tty -t --use-api-socket`),
    shorts: { '-e': '--env' },
    flagsFirst: true,
  },
  exec: {
    spellings: ['exec', 'container exec'],
    booleans: flags('--detach -d --help --interactive -i --privileged --tty -t'),
    shorts: { '-e': '--env' },
    flagsFirst: true,
  },
  cp: {
    spellings: ['cp', 'container cp'],
    booleans: flags('--archive -a --follow-link --help --quiet -q'),
    shorts: { '-L': '--follow-link' },
  },
  load: {
    spellings: ['load', 'image load'],
    booleans: flags('--help --quiet -q'),
    shorts: { '-i': '--input' },
  },
  import: { spellings: ['import', 'image import'], booleans: flags('--help') },
  save: {
    spellings: ['save', 'image save', 'export', 'container export'],
    booleans: flags('--help'),
    shorts: { '-o': '--output' },
  },
  pull: {
    spellings: ['pull', 'image pull', 'push', 'image push'],
    booleans: flags('--all-tags -a --disable-content-trust --help --quiet -q'),
  },
  compose: {
    spellings: ['compose'],
    booleans: flags(`--all-resources --compatibility --dry-run --help -h --verbose --version -v`),
    shorts: { '-f': '--file', '-p': '--project-name' },
    flagsFirst: true,
  },
  login: { spellings: ['login', 'logout'], booleans: [] },
} satisfies Record<string, Syntax & { spellings: readonly string[] }>

/** docker's global flags, which precede the verb. */
export const globals: Syntax = {
  booleans: flags('--debug -D --help -h --tls --tlsverify --version -v'),
  flagsFirst: true,
}

/** A verb in the table; `run` includes `create`, `save` includes `export`, `pull` includes `push`. */
export type VerbName = keyof typeof verbs

/** A parsed docker command line. */
export interface ReadCommand {
  readonly verb: VerbName
  /** docker's global flags and the verb, as typed: `--debug image build`. */
  readonly start: readonly string[]
  /** The verb as typed: `image build`. */
  readonly spelling: string
  readonly words: readonly Word[]
}

/** Parses the arguments of docker; undefined if the verb is not in the table. */
export function readCommand(args: readonly string[]): ReadCommand | undefined {
  const words = parseWords(args, globals)
  const first = words.findIndex((word) => word.kind === 'operand')
  if (first === -1) return undefined
  const before = formatWords(words.slice(0, first))
  const typed = formatWords(words.slice(first))
  for (const length of [2, 1]) {
    const spelling = typed.slice(0, length).join(' ')
    for (const [verb, { spellings, ...syntax }] of Object.entries(verbs)) {
      if (!(spellings as readonly string[]).includes(spelling)) continue
      const start = [...before, ...typed.slice(0, length)]
      const rest = parseWords(typed.slice(length), syntax)
      return { verb: verb as VerbName, start, spelling, words: rest }
    }
  }
  return undefined
}
