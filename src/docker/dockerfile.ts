/**
 * Reads the parser directives, such as `# escape=` and `# syntax=`, which precede everything else (Dockerfile
 * reference, "Parser directives").
 */
function directivesOf(dockerfile: string): ReadonlyMap<string, string> {
  const directives = new Map<string, string>()
  for (const line of dockerfile.split(/\r?\n/)) {
    const [, name, value] = /^#\s*(\w+)\s*=\s*(\S+)/.exec(line) ?? []
    if (name === undefined || value === undefined || !/^(?:syntax|escape|check)$/i.test(name)) break
    directives.set(name.toLowerCase(), value)
  }
  return directives
}

/**
 * Splits a Dockerfile into instructions: removes comments, and joins each line that ends with the `escape` character to
 * the next.
 */
const instructionsOf = (dockerfile: string, escape: '\\' | '`'): string[] =>
  dockerfile
    .split(/\r?\n/)
    .filter((line) => !/^\s*#/.test(line))
    .join('\n')
    .replaceAll(escape === '`' ? /`[ \t]*\n/g : /\\[ \t]*\n/g, ' ')
    .split('\n')

/** Matches a variable whose word, if it has one, has no braces: in nested variables, the innermost one. */
const variable = /\$(?:(\w+)|\{(\w+)(?::?([-+?])([^{}]*))?\})/

/**
 * Expands `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME:+alternative}` and `${NAME:?message}`, whose words may contain
 * variables.
 */
function expandVariables(text: string, valueOf: (name: string) => string | undefined): string {
  let [expanded, rest] = ['', text]
  const most = text.split('$').length // so that values which contain variables cannot be expanded forever
  for (let count = 0; count < most; count += 1) {
    const found = variable.exec(rest)
    if (found === null) break
    const [all, bare, braced, operator, word = ''] = found
    const value = valueOf(bare ?? braced ?? '') ?? ''
    const usesWord = operator === '+' ? value !== '' : operator === '-' && value === ''
    const shown = usesWord ? expandVariables(word, valueOf) : operator === '+' ? '' : value
    const before = rest.slice(0, found.index)
    const after = rest.slice(found.index + all.length)
    // What precedes an inner variable belongs to the outer one, which is expanded next.
    if (before.includes('${')) rest = `${before}${shown}${after}`
    else [expanded, rest] = [`${expanded}${before}${shown}`, after]
  }
  return expanded + rest
}

/** Matches one argument of `ARG`: `NAME`, `NAME=value`, `NAME="a value"`. */
const argument = /(\w+)(?:=(?:"([^"]*)"|'([^']*)'|(\S*)))?/g

/**
 * Returns the images that a build needs: those named in `FROM` and `COPY --from`, and the frontend named in
 * `# syntax=`. `args` contains the values of `--build-arg`.
 */
export function imagesOf(dockerfile: string, args: ReadonlyMap<string, string>): string[] {
  const known = new Map<string, string>()
  const stages = new Set<string>(['scratch'])
  const images: string[] = []
  let started = false
  const text = dockerfile.replace(/^\uFEFF/, '') // a byte order mark
  const directives = directivesOf(text)
  const syntax = directives.get('syntax')
  if (syntax !== undefined) images.push(syntax)
  const add = (name: string): void => {
    const image = expandVariables(name, (key) => known.get(key))
    if (image !== '' && !/^\d+$/.test(image) && !stages.has(image.toLowerCase())) images.push(image)
  }
  const escape = directives.get('escape') === '`' ? '`' : '\\'
  for (const instruction of instructionsOf(text, escape)) {
    const [, name, rest = ''] = /^\s*(\w+)\s+(.*)$/.exec(instruction) ?? []
    if (name?.toUpperCase() === 'ARG' && !started) {
      for (const [, key = '', double, single, bare] of rest.matchAll(argument)) {
        const value = double ?? single ?? bare ?? ''
        known.set(key, args.get(key) ?? expandVariables(value, (other) => known.get(other)))
      }
    } else if (name?.toUpperCase() === 'FROM') {
      started = true
      const [image = '', as, stage] = rest.split(/\s+/).filter((word) => !word.startsWith('--'))
      add(image)
      if (as?.toUpperCase() === 'AS' && stage !== undefined) stages.add(stage.toLowerCase())
    } else {
      for (const [, image = ''] of instruction.matchAll(/(?:--from=|[\s,]from=)([^\s,]+)/g)) {
        add(image)
      }
    }
  }
  return images
}
