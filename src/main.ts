import { asksForVersion, typedWords } from './cli/argv.ts'
import { exitOnWriteErrors } from './cli/output-errors.ts'

/** Set by the build from package.json. */
declare const fleetVersion: string

const argv = typedWords(process.argv.slice(2))

// Scripts and shell prompts often ask for the version, so it is printed before any module is loaded.
if (asksForVersion(argv)) {
  exitOnWriteErrors('stdout').write(`${fleetVersion}\n`)
} else {
  void import('./cli/start.ts').then(({ start }) =>
    start(argv, { file: import.meta.filename, version: fleetVersion }),
  )
}
