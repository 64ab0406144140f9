#!/usr/bin/env node
import manifest from '../package.json' with { type: 'json' }

const { version } = manifest

// The version is what scripts and prompts ask for most: it waits for nothing to be loaded.
if (process.argv.length === 3 && /^(?:--version|-V)$/.test(process.argv[2] ?? '')) {
  process.stdout.write(`${version}\n`)
} else {
  void import('./start.ts').then(({ start }) =>
    start(process.argv.slice(2), { file: import.meta.filename, version }),
  )
}
