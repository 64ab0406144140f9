import { type Document, isMap, isPair, isScalar, parseAllDocuments, visit } from 'yaml'

/** Keys whose values name files that Compose itself reads. */
const readKeys = new Set(['env_file', 'extends', 'include', 'label_file'])

/** Keys below {@link readKeys} whose values are not files. */
const otherKeys = new Set(['format', 'required', 'service'])

/** The values of a Compose file that may name files. Only Compose itself decides which files are used. */
export interface ScannedFile {
  /** All string values. */
  readonly texts: readonly string[]
  /** The strings that may name files that Compose itself reads. */
  readonly reads: readonly string[]
  /** The strings that name base directories for relative paths. */
  readonly folders: readonly string[]
  /**
   * Whether `include` contains a variable, an alias or a merge key, in which case only Compose knows which files it
   * names.
   */
  readonly hasOpenInclude: boolean
}

/** Whether only Compose knows which files `include` in a document names. */
function hasOpenInclude({ contents }: Document): boolean {
  if (!isMap(contents)) return false
  return contents.items.some(({ key, value }) => {
    if (!isScalar(key) || key.value === '<<') return true
    if (key.value !== 'include') return false
    let isOpen = false
    visit(value as Parameters<typeof visit>[0], {
      Alias: () => void (isOpen = true),
      Scalar: (_place, { value: text }) =>
        void (isOpen ||= typeof text === 'string' && text.includes('$')),
    })
    return isOpen
  })
}

/** Collects the string values of a Compose file; returns none if the file is not YAML. */
export function scanComposeFile(content: string): ScannedFile {
  const texts: string[] = []
  const reads: string[] = []
  const folders: string[] = []
  let isOpen = false
  for (const document of parseAllDocuments(content, { logLevel: 'silent', uniqueKeys: false })) {
    isOpen ||= hasOpenInclude(document)
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
  return { texts, reads, folders, hasOpenInclude: isOpen }
}
