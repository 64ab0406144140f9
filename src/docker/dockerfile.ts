/** Splits a Dockerfile into instructions: joins lines that end in a backslash or a backtick, and removes comments. */
const instructionsOf = (dockerfile: string): string[] =>
  dockerfile
    .split(/\r?\n/)
    .filter((line) => !/^\s*#/.test(line))
    .join('\n')
    .replaceAll(/[\\`][ \t]*\n/g, ' ')
    .split('\n')

/** Expands `$NAME`, `${NAME}` and `${NAME:-default}`. */
const expandVariables = (text: string, valueOf: (name: string) => string | undefined): string =>
  text.replaceAll(
    /\$(?:(\w+)|\{(\w+)(?::?-([^}]*))?\})/g,
    (_match, bare: string | undefined, braced: string | undefined, fallback: string | undefined) =>
      valueOf(bare ?? braced ?? '') || (fallback ?? ''),
  )

/**
 * Returns the images that a build needs: those of `FROM` and `COPY --from`, and the frontend of `# syntax=`. `args` are
 * the values of `--build-arg`.
 */
export function imagesOf(dockerfile: string, args: ReadonlyMap<string, string>): string[] {
  const known = new Map<string, string>()
  const stages = new Set<string>(['scratch'])
  const images: string[] = []
  let started = false
  const [, syntax] = /^#\s*syntax\s*=\s*(\S+)/i.exec(dockerfile) ?? []
  if (syntax !== undefined) images.push(syntax)
  const add = (name: string): void => {
    const image = expandVariables(name, (key) => known.get(key))
    if (image !== '' && !/^\d+$/.test(image) && !stages.has(image.toLowerCase())) images.push(image)
  }
  for (const instruction of instructionsOf(dockerfile)) {
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
