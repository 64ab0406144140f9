#!/usr/bin/env node
/** The build puts it here, from package.json. */
declare const fleetVersion: string

// The version is what scripts and prompts ask for most: it waits for nothing to be loaded.
if (process.argv.length === 3 && /^(?:--version|-V)$/.test(process.argv[2] ?? '')) {
  process.stdout.write(`${fleetVersion}\n`)
} else {
  void import('./start.ts').then(({ start }) =>
    start(process.argv.slice(2), { file: import.meta.filename, version: fleetVersion }),
  )
}
