import { writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import type { Reporter, TestCase, TestModule } from 'vitest/node'

/** How a run went; what scripts/test.mjs prints at the end is made from it. */
export interface TestSummary {
  readonly passed: number
  /** Failed tests, and files and suites that failed outside a test. */
  readonly failed: number
  /** Each skipped test's file, and the reason where the test gave one. */
  readonly skipped: readonly { readonly file: string; readonly reason?: string }[]
}

function describeSkip(test: TestCase): TestSummary['skipped'][number] {
  const result = test.result()
  const file = relative(process.cwd(), test.module.moduleId)
  return result.state === 'skipped' && result.note !== undefined
    ? { file, reason: result.note }
    : { file }
}

function summarize(modules: readonly TestModule[], errors: number): TestSummary {
  const tests = modules.flatMap((module) => [...module.children.allTests()])
  const suites = modules.flatMap((module) => [module, ...module.children.allSuites()])
  const inState = (state: string) => tests.filter((test) => test.result().state === state)
  return {
    passed: inState('passed').length,
    failed:
      inState('failed').length +
      suites.filter((suite) => suite.errors().length > 0).length +
      errors,
    // a test still pending never ran
    skipped: [...inState('skipped'), ...inState('pending')].map(describeSkip),
  }
}

/** Writes the summary as JSON to the file that `FLEET_TEST_SUMMARY` names, if it does. */
export const summaryReporter: Reporter = {
  onTestRunEnd(modules, unhandledErrors) {
    const file = process.env['FLEET_TEST_SUMMARY']
    if (file !== undefined)
      writeFileSync(file, JSON.stringify(summarize(modules, unhandledErrors.length)))
  },
}
