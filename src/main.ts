#!/usr/bin/env node
import manifest from '../package.json' with { type: 'json' }

const { version } = manifest

// The version is what scripts and prompts ask for most: it waits for nothing to be loaded.
if (process.argv.length === 3 && /^(?:--version|-V)$/.test(process.argv[2] ?? '')) {
  process.stdout.write(`${version}\n`)
} else {
  void start(process.argv.slice(2))
}

/**
 * Whether a command line is one that the broker runs sooner than a new process can: what is asked for all the time, reads
 * alone, and has no input.
 */
function mayBeHosted(argv: readonly string[]): boolean {
  const [first = ''] = argv
  const verb = /^(?:-m|--machine|--on)$/.test(first) ? argv[2] : first === '--all' ? argv[1] : first
  const isQuick = verb === 'ps' || verb === 'images'
  return isQuick && process.platform !== 'win32' && process.env['FLEET_BROKER'] !== 'off'
}

async function start(argv: readonly string[]): Promise<void> {
  if (mayBeHosted(argv)) {
    const { askBroker } = await import('./ask-broker.ts')
    if (await askBroker(argv, import.meta.filename)) return
  }
  const { keepCompiledCode } = await import('./compile-cache.ts')
  keepCompiledCode(process.env)
  const [, build] = argv[0] === '__broker' ? argv : []
  if (build !== undefined) {
    const { runBroker } = await import('./broker.ts')
    await runBroker(build, { version, program: import.meta.filename })
    process.exit() // oxlint-disable-line unicorn/no-process-exit -- whatever a host may still hold open
  }
  const { runProcess } = await import('./process.ts')
  await runProcess(argv, version, import.meta.filename)
}
