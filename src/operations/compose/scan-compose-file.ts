import { isPair, isScalar, parseAllDocuments, visit } from 'yaml'

/** Keys whose values name files that compose itself reads. */
const readKeys = new Set(['env_file', 'extends', 'include', 'label_file'])

/** Keys below those whose values are not files. */
const otherKeys = new Set(['format', 'required', 'service'])

/** The values of a compose file that may name files. Only compose itself decides which files are used. */
export interface ScannedFile {
  /** All string values. */
  readonly texts: readonly string[]
  /** Those that may name files which compose reads itself. */
  readonly reads: readonly string[]
  /** Those that name base folders of relative paths. */
  readonly folders: readonly string[]
}

/** Collects the string values of a compose file; none if it is not YAML. */
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
