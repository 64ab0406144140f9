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
  /** The files that took longest, the slowest first. */
  readonly slowest: readonly { readonly file: string; readonly seconds: number }[]
}

/** How many of the slowest files are listed. */
const mostSlow = 20

const nameOf = ({ moduleId }: TestModule): string => relative(process.cwd(), moduleId)

/** How long a file took, with its imports and hooks, in seconds. */
function secondsOf(module: TestModule): number {
  const { duration, collectDuration, environmentSetupDuration, prepareDuration } =
    module.diagnostic()
  return (duration + collectDuration + environmentSetupDuration + prepareDuration) / 1000
}

function describeSkip(test: TestCase): TestSummary['skipped'][number] {
  const result = test.result()
  const file = nameOf(test.module)
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
    slowest: modules
      .map((module) => ({ file: nameOf(module), seconds: secondsOf(module) }))
      .toSorted((a, b) => b.seconds - a.seconds)
      .slice(0, mostSlow),
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
