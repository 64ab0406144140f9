#!/usr/bin/env node
import manifest from '../package.json' with { type: 'json' }

const { version } = manifest

// The version is what scripts and prompts ask for most: it waits for nothing to be loaded.
if (process.argv.length === 3 && /^(?:--version|-V)$/.test(process.argv[2] ?? '')) {
  process.stdout.write(`${version}\n`)
} else {
  void start(process.argv.slice(2))
}

async function start(argv: readonly string[]): Promise<void> {
  const { keepCompiledCode } = await import('./compile-cache.ts')
  keepCompiledCode(process.env)
  const [, build] = argv[0] === '__broker' ? argv : []
  if (build !== undefined) {
    const { runBroker } = await import('./broker.ts')
    await runBroker(build)
    process.exit() // oxlint-disable-line unicorn/no-process-exit -- whatever a host may still hold open
  }
  const { runProcess } = await import('./process.ts')
  await runProcess(argv, version, import.meta.filename)
}
