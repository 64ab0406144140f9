import { typedWords } from './cli/argv.ts'

/** The build puts it here, from package.json. */
declare const fleetVersion: string

const argv = typedWords(process.argv.slice(2))

// The version is what scripts and prompts ask for most: it waits for nothing to be loaded.
if (argv.length === 1 && /^(?:--version|-V)$/.test(argv[0] ?? '')) {
  process.stdout.write(`${fleetVersion}\n`)
} else {
  void import('./cli/start.ts').then(({ start }) =>
    start(argv, { file: import.meta.filename, version: fleetVersion }),
  )
}
