import { writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import type { Reporter, TestCase, TestModule } from 'vitest/node'

/** Results of one test file. */
export interface FileSummary {
  readonly file: string
  readonly passed: number
  /** Failed tests, and suites that failed outside a test. */
  readonly failed: number
  /** One element per skipped test: the reason, or the empty string if the test gave none. */
  readonly skipped: readonly string[]
  /** Duration in seconds, including imports and hooks. */
  readonly seconds: number
}

/** Results of a run, which scripts/test.mjs prints at the end. */
export interface TestSummary {
  readonly files: readonly FileSummary[]
  /** Number of errors outside all files. */
  readonly errors: number
}

function secondsOf(module: TestModule): number {
  const { duration, collectDuration, environmentSetupDuration, prepareDuration } =
    module.diagnostic()
  return (duration + collectDuration + environmentSetupDuration + prepareDuration) / 1000
}

function reasonOf(test: TestCase): string {
  const result = test.result()
  return (result.state === 'skipped' && result.note) || ''
}

function summarizeFile(module: TestModule): FileSummary {
  const tests = [...module.children.allTests()]
  const suites = [module, ...module.children.allSuites()]
  const inState = (state: string) => tests.filter((test) => test.result().state === state)
  return {
    file: relative(process.cwd(), module.moduleId),
    passed: inState('passed').length,
    failed: inState('failed').length + suites.filter((suite) => suite.errors().length > 0).length,
    // a test that is still pending never ran
    skipped: [...inState('skipped'), ...inState('pending')].map(reasonOf),
    seconds: secondsOf(module),
  }
}

/** Writes the summary as JSON to the file `FLEET_TEST_SUMMARY`, if it is set. */
export const summaryReporter: Reporter = {
  onTestRunEnd(modules, unhandledErrors) {
    const file = process.env['FLEET_TEST_SUMMARY']
    if (file === undefined) return
    const summary: TestSummary = {
      files: modules.map(summarizeFile),
      errors: unhandledErrors.length,
    }
    writeFileSync(file, JSON.stringify(summary))
  },
}
