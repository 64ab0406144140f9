import { readFile, readdir } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, dirname, isAbsolute, join } from 'node:path'
import { UserError, fileTroubleOf } from '../../errors.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Includes in includes, at most (ssh itself stops there). */
const deepest = 16

/** The words of a line: keyword, with or without `=`, and arguments, with or without quotes (ssh_config(5)). */
const wordsOf = (line: string): readonly string[] =>
  [
    ...line
      .trim()
      .replace(/^([A-Za-z]+)\s*=\s*/, '$1 ')
      .matchAll(/"([^"]*)"|(\S+)/g),
  ].map(([, quoted, plain]) => quoted ?? plain ?? '')

/** The files that an Include names: relative ones are beside the person's configuration; `*` stands in file names. */
async function findIncluded(pattern: string, env: Environment): Promise<readonly string[]> {
  const home = env['HOME'] ?? homedir()
  const told = pattern.replace(/^~(?=\/)/, home)
  const file = isAbsolute(told) ? told : join(home, '.ssh', told)
  if (!/[*?]/.test(basename(file))) return [file]
  const matches = new RegExp(
    `^${basename(file)
      .replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
      .replaceAll('*', '.*')
      .replaceAll('?', '.')}$`,
  )
  const names = await readdir(dirname(file)).catch((): string[] => [])
  return names
    .filter((name) => matches.test(name))
    .sort()
    .map((name) => join(dirname(file), name))
}

async function collect(
  file: string,
  env: Environment,
  aliases: Set<string>,
  depth: number,
): Promise<void> {
  const text = await readFile(file, 'utf8')
  for (const [keyword = '', ...words] of text.split('\n').map(wordsOf)) {
    if (keyword.toLowerCase() === 'host') {
      for (const word of words) if (!/[*?!]/.test(word)) aliases.add(word)
    }
    if (keyword.toLowerCase() !== 'include' || depth >= deepest) continue
    for (const pattern of words) {
      for (const included of await findIncluded(pattern, env)) {
        await collect(included, env, aliases, depth + 1).catch(() => undefined) // as ssh passes over what is not there
      }
    }
  }
}

/** The hosts that a configuration of ssh names one by one, without patterns; what it says of each, ssh itself is asked. */
export async function readSshAliases(
  file: string | undefined,
  env: Environment,
): Promise<readonly string[]> {
  const config = file ?? join(env['HOME'] ?? homedir(), '.ssh', 'config')
  const aliases = new Set<string>()
  await collect(config, env, aliases, 0).catch((error: unknown) => {
    throw new UserError('usage', `cannot read ${config}: ${fileTroubleOf(error)}`, { cause: error })
  })
  return [...aliases]
}
