import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'
import { LongestFirst } from './test/support/vitest/longest-first.ts'
import { progressReporter } from './test/support/vitest/progress-reporter.ts'
import { summaryReporter } from './test/support/vitest/summary-reporter.ts'

/** Unit tests that replace modules. The others share a process, in which each module is loaded once. */
const withOwnModules = [
  'commands/run/run',
  'state/inventory/edit-at-size',
  'transport/connect-tcp',
].map((name) => `test/unit/${name}.test.ts`)

/** Tests that take many minutes; they run only with FLEET_TEST_SLOW=1. */
const slow = process.env['FLEET_TEST_SLOW'] ? [] : ['test/e2e/swarm/routing-mesh.test.ts']

export default defineConfig({
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          exclude: withOwnModules,
          isolate: false,
        },
      },
      {
        extends: true,
        test: {
          name: 'real',
          include: ['test/{contract,e2e,fuzz,lab}/**/*.test.ts', ...withOwnModules],
          exclude: slow,
        },
      },
    ],
    setupFiles: ['test/support/vitest/seed.ts'],
    // A process for each file: what a lab starts ends with the process that started it.
    pool: 'forks',
    // Tests wait more than they compute: for hosts to boot, for time-outs, for the locks of the dead.
    maxWorkers: Math.max(4, Math.floor(availableParallelism() / 2)),
    // On a busy machine tests are slow, and never red: the limits end only what hangs.
    testTimeout: 1_800_000,
    hookTimeout: 1_800_000,
    expect: { poll: { timeout: 300_000, interval: 100 } },
    sequence: { sequencer: LongestFirst },
    reporters: ['default', progressReporter(), summaryReporter],
  },
})
