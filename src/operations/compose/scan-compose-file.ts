import { isPair, isScalar, parseAllDocuments, visit } from 'yaml'

/** Keys whose values name files that compose itself reads. */
const readKeys = new Set(['env_file', 'extends', 'include', 'label_file'])

/** Keys below those whose values name no file. */
const otherKeys = new Set(['format', 'required', 'service'])

/** What a compose file may name. Its text decides nothing but which files can be meant: what it means, compose says. */
export interface ScannedFile {
  /** All of its texts. */
  readonly texts: readonly string[]
  /** Those that may name files which compose reads before it knows the project. */
  readonly reads: readonly string[]
  /** Those that name folders which paths are relative to. */
  readonly folders: readonly string[]
}

/** Collects the texts of a compose file. One that is not YAML has none. */
export function scanComposeFile(content: string): ScannedFile {
  const texts: string[] = []
  const reads: string[] = []
  const folders: string[] = []
  for (const document of parseAllDocuments(content, { logLevel: 'silent', uniqueKeys: false })) {
    visit(document, {
      Scalar(place, { value }, ancestors) {
        if (typeof value !== 'string' || place === 'key') return
        const keys = ancestors.flatMap((node) =>
          isPair(node) && isScalar(node.key) ? [String(node.key.value)] : [],
        )
        texts.push(value)
        if (keys.at(-1) === 'project_directory') folders.push(value)
        else if (keys.some((key) => readKeys.has(key)) && !otherKeys.has(keys.at(-1) ?? '')) {
          reads.push(value)
        }
      },
    })
  }
  return { texts, reads, folders }
}
