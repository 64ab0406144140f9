/** The drop-in (systemd.unit(5)) that fleet writes. Its name sorts last, so that its values override other drop-ins. */
export const environmentFile = '/etc/systemd/system/docker.service.d/zz-fleet.conf'

/** Quotes a word for a unit file (systemd.syntax(7)), where `%` begins a specifier. */
const quoteWord = (word: string): string =>
  `"${word.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%')}"`

const unquoteWord = (word: string): string =>
  word
    .slice(1, -1)
    .replaceAll('%%', '%')
    .replaceAll(/\\(["\\])/g, '$1')

/** Environment variables of the engine; `null` unsets a variable, even if another file sets it. */
export type EngineEnvironment = Readonly<Record<string, string | null>>

/** Reads a drop-in that {@link formatEnvironment} wrote. Other lines are ignored. */
export function parseEnvironment(text: string): EngineEnvironment {
  const found = text.split('\n').flatMap((line): (readonly [string, string | null])[] => {
    const [, word] = /^Environment=("(?:[^"\\]|\\.)*")$/.exec(line) ?? []
    const [, unset] = /^UnsetEnvironment=([A-Za-z_]\w*)$/.exec(line) ?? []
    if (unset !== undefined) return [[unset, null]]
    if (word === undefined) return []
    const plain = unquoteWord(word)
    const at = plain.indexOf('=')
    return at < 1 ? [] : [[plain.slice(0, at), plain.slice(at + 1)]]
  })
  return Object.fromEntries(found)
}

/** Returns the text of the drop-in. */
export const formatEnvironment = (environment: EngineEnvironment): string =>
  `# Written by fleet from "environment" in this machine's entry in machines.yaml.
[Service]
${Object.entries(environment)
  .map(([name, value]) =>
    value === null
      ? `UnsetEnvironment=${name}\n`
      : `Environment=${quoteWord(`${name}=${value}`)}\n`,
  )
  .join('')}`
