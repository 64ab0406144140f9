/**
 * Reads the parser directives, such as `# escape=` and `# syntax=`, which precede everything else (Dockerfile
 * reference, "Parser directives").
 */
function directivesOf(dockerfile: string): ReadonlyMap<string, string> {
  const directives = new Map<string, string>()
  for (const line of dockerfile.split(/\r?\n/)) {
    const [, name, value] = /^#\s*(\w+)\s*=\s*(\S+)/.exec(line) ?? []
    if (name === undefined || value === undefined) break
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

/** Expands `$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+alternative}`, whose words may have variables too. */
const expandVariables = (text: string, valueOf: (name: string) => string | undefined): string =>
  text.replaceAll(
    /\$(?:(\w+)|\{(\w+)(?::?([-+])((?:\$\{[^{}]*\}|[^{}])*))?\})/g,
    (_match, bare?: string, braced?: string, operator?: string, word = '') => {
      const value = valueOf(bare ?? braced ?? '') ?? ''
      const usesWord = operator === '+' ? value !== '' : value === ''
      if (usesWord) return expandVariables(word, valueOf)
      return operator === '+' ? '' : value
    },
  )

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
      const [, key = '', value = ''] = /^(\w+)(?:=["']?(.*?)["']?)?\s*$/.exec(rest) ?? []
      known.set(key, args.get(key) ?? expandVariables(value, (other) => known.get(other)))
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
