#!/usr/bin/env node
import manifest from '../package.json' with { type: 'json' }

const { version } = manifest

// The version is what scripts and prompts ask for most: it waits for nothing to be loaded.
if (process.argv.length === 3 && /^(?:--version|-V)$/.test(process.argv[2] ?? '')) {
  process.stdout.write(`${version}\n`)
} else {
  void start()
}

async function start(): Promise<void> {
  const { keepCompiledCode } = await import('./compile-cache.ts')
  keepCompiledCode(process.env)
  const { runProcess } = await import('./process.ts')
  await runProcess(process.argv.slice(2), version, import.meta.filename)
}
