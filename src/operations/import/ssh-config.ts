import { readFile, realpath } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { UserError, fileProblemOf } from '../../errors.ts'
import { ignored } from '../../os/trace.ts'
import { type Environment, homeOf } from '../../os/environment.ts'

/** The maximum depth of nested includes (the same limit as in ssh). */
const maxDepth = 16

/** The hosts in an SSH configuration, and the places in it that run programs or could not be read. */
export interface SshAliases {
  readonly aliases: readonly string[]
  /** The location (`FILE:LINE`) of each `Match exec`, whose command ssh runs when it reads the configuration. */
  readonly commands: readonly string[]
  /** The location (`FILE:LINE`) of each Include whose files only ssh can resolve. */
  readonly unread: readonly string[]
}

/** The path of the user's own SSH configuration. */
const ownConfig = (env: Environment): string => join(homeOf(env), '.ssh', 'config')

/**
 * Splits a line into words as ssh does: handles quotes, backslashes before quotes and spaces, and a comment that starts
 * with a `#` at the beginning of any word but the first (ssh_config(5); argv_split of OpenSSH). The keyword may end
 * with `=`.
 */
function splitConfigLine(line: string): readonly string[] {
  const [, keyword = '', rest = ''] = /^\s*([^\s="#]+)\s*=?\s*(.*)$/s.exec(line) ?? []
  if (keyword === '') return []
  const words = [keyword]
  let word: string | undefined
  let quote = ''
  for (let at = 0; at < rest.length; at += 1) {
    const character = rest[at] ?? ''
    const next = rest[at + 1] ?? ''
    if (character === '\\' && (/["'\\]/.test(next) || (quote === '' && next === ' '))) {
      word = (word ?? '') + next
      at += 1
    } else if (character === quote) quote = ''
    else if (quote === '' && (character === '"' || character === "'")) {
      quote = character
      word ??= ''
    } else if (quote !== '' || !/\s/.test(character)) {
      if (word === undefined && quote === '' && character === '#') break
      word = (word ?? '') + character
    } else if (word !== undefined) {
      words.push(word)
      word = undefined
    }
  }
  return word === undefined ? words : [...words, word]
}

/**
 * Expands `~`, `${NAME}` and host-independent tokens in the argument of an Include; undefined if it has other tokens.
 */
function expandInclude(pattern: string, env: Environment): string | undefined {
  const tokens: Readonly<Record<string, string>> = {
    '%': '%',
    d: homeOf(env),
    u: userInfo().username,
  }
  let isWhole = true
  const replace = (value: string | undefined): string => {
    isWhole &&= value !== undefined
    return value ?? ''
  }
  const expanded = pattern
    .replace(/^~(?=\/)/, homeOf(env))
    .replaceAll(/\$\{([^}]*)\}/g, (_, name: string) => replace(env[name]))
    .replaceAll(/%(.?)/g, (_, token: string) => replace(tokens[token]))
  if (!isWhole || expanded.startsWith('~')) return undefined
  return isAbsolute(expanded) ? expanded : join(homeOf(env), '.ssh', expanded)
}

/** The files of an Include, in order, with the wildcards of glob(7) expanded; undefined if only ssh can resolve it. */
async function findIncluded(
  pattern: string,
  env: Environment,
): Promise<readonly string[] | undefined> {
  const expanded = expandInclude(pattern, env)
  if (expanded === undefined) return undefined
  const { glob } = await import('tinyglobby')
  const found = await glob(expanded, {
    absolute: true,
    expandDirectories: false,
    braceExpansion: false,
    extglob: false,
    globstar: false,
  })
  return found.sort()
}

/** Reads a configuration and its includes, and collects the hosts in them. */
async function collect(
  file: string,
  env: Environment,
  found: {
    readonly aliases: Set<string>
    readonly commands: string[]
    readonly unread: string[]
    /**
     * The files that have been read. Each file is read only once: a file that includes itself twice would double the
     * work at every level.
     */
    readonly files: Set<string>
  },
  depth = 0,
): Promise<void> {
  if (found.files.has(file)) return
  found.files.add(file)
  const text = await readFile(file, 'utf8')
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const [keyword = '', ...words] = splitConfigLine(line)
    const location = `${file}:${index + 1}`
    // This test is deliberately broader than ssh's: anything that could be an exec counts.
    if (/^match/i.test(keyword) && /exec/i.test(line)) found.commands.push(location)
    if (keyword.toLowerCase() === 'host') {
      for (const word of words) if (!/[*?!]/.test(word)) found.aliases.add(word)
    }
    if (keyword.toLowerCase() !== 'include' || depth >= maxDepth) continue
    for (const pattern of words) {
      const included = await findIncluded(pattern, env)
      if (included === undefined) found.unread.push(location)
      for (const one of included ?? []) {
        await collect(one, env, found, depth + 1).catch(
          ignored('command', 'read an included SSH configuration'),
        ) // like ssh, ignore missing files
      }
    }
  }
}

const realPath = (file: string): Promise<string | undefined> =>
  realpath(file).catch(ignored('command', 'resolve an SSH configuration'))

/** Whether a file is the user's own configuration, which ssh reads at every login anyway. */
async function isOwn(file: string | undefined, env: Environment): Promise<boolean> {
  if (file === undefined) return true
  const [given, own] = await Promise.all([realPath(file), realPath(ownConfig(env))])
  return given !== undefined && given === own
}

/**
 * The hosts that are listed in an SSH configuration without wildcards. Their settings are resolved later with `ssh -G`.
 */
export async function readSshAliases(
  file: string | undefined,
  env: Environment,
): Promise<SshAliases> {
  const config = file ?? ownConfig(env)
  const found = {
    aliases: new Set<string>(),
    files: new Set<string>(),
    commands: [],
    unread: [],
  }
  await collect(config, env, found).catch((error: unknown) => {
    throw new UserError('usage', `cannot read ${config}: ${fileProblemOf(error)}`, { cause: error })
  })
  const aliases = [...found.aliases]
  if (await isOwn(file, env)) return { aliases, commands: [], unread: [] }
  return { aliases, commands: found.commands, unread: found.unread }
}
