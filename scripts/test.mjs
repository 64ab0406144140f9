// npm test: makes this machine ready, builds, and runs vitest with the arguments given. Needs Node.js alone to start.
// The last line of its output is `N passed, N failed` or `N passed, N failed, N skipped`.
// FLEET_TEST_REQUIRE=all makes skipped tests a failure.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { chdir, env, execPath, exit, pid } from 'node:process'
import { prepareDockerPlugins } from '../test/support/lab/docker-plugins.mjs'
import { runInLab } from '../test/support/lab/enter.mjs'
import { prepareLab } from '../test/support/lab/prerequisites.mjs'
import { buildProgram, checkout, installDependencies } from './checkout.mjs'

chdir(checkout)

/** @typedef {import('../test/support/vitest/summary-reporter.ts').TestSummary} TestSummary */

/** Runs a command on the machine as it is, and gives its exit code. */
function runHere(/** @type {string[]} */ [file = '', ...args]) {
  const child = spawn(file, args, { stdio: 'inherit', env })
  return new Promise((resolve) => {
    child.on('close', (code) => resolve(code ?? 1))
  })
}

/** Says which tests were skipped and why, once for each file and reason. */
function explainSkipped(
  /** @type {TestSummary['skipped']} */ skipped,
  /** @type {string | undefined} */ obstacle,
) {
  const counts = new Map()
  for (const { file, reason } of skipped) {
    const line = reason === undefined ? file : `${file}: ${reason}`
    counts.set(line, (counts.get(line) ?? 0) + 1)
  }
  if (skipped.length > 0) console.log('\nSkipped:')
  for (const [line, count] of counts) console.log(`  ${count} in ${line}`)
  if (obstacle !== undefined)
    console.log(`No lab here, so all that needs hosts is skipped: ${obstacle}.`)
}

/** Lists the slowest files, and how long each took. */
function listSlowest(/** @type {TestSummary['slowest']} */ slowest) {
  if (slowest.length > 1) console.log(`\nThe slowest ${slowest.length} files:`)
  for (const { file, seconds } of slowest) {
    console.log(`  ${seconds.toFixed(1).padStart(6)} s  ${file}`)
  }
}

/** Prints the closing line and ends. */
function finish(
  /** @type {Pick<TestSummary, 'passed' | 'failed' | 'skipped'>} */ { passed, failed, skipped },
  /** @type {number} */ code,
) {
  const line = `${passed} passed, ${failed} failed`
  console.log(skipped.length > 0 ? `${line}, ${skipped.length} skipped` : line)
  exit(code)
}

if (!installDependencies()) finish({ passed: 0, failed: 1, skipped: [] }, 1)
const isBuilt = buildProgram() // without it, what needs no build is still worth testing
const obstacle = prepareLab()
if (obstacle === undefined) env['FLEET_DOCKER_PLUGINS'] = JSON.stringify(prepareDockerPlugins())

mkdirSync('node_modules/.cache', { recursive: true })
const summaryFile = `${checkout}node_modules/.cache/tests-${pid}.json`
env['FLEET_TEST_SUMMARY'] = summaryFile
const vitest = [execPath, 'node_modules/vitest/vitest.mjs', 'run', ...process.argv.slice(2)]
const vitestCode = await (obstacle === undefined ? runInLab(vitest) : runHere(vitest))
/** @type {TestSummary} */
const summary = existsSync(summaryFile)
  ? JSON.parse(readFileSync(summaryFile, 'utf8'))
  : { passed: 0, failed: 0, skipped: [], slowest: [] }
rmSync(summaryFile, { force: true })

listSlowest(summary.slowest)
explainSkipped(summary.skipped, obstacle)
const isComplete = summary.skipped.length === 0 && obstacle === undefined
const code = vitestCode || Number(!isBuilt || (env['FLEET_TEST_REQUIRE'] === 'all' && !isComplete))
const hasFailed = vitestCode !== 0 || !isBuilt
finish({ ...summary, failed: hasFailed ? Math.max(summary.failed, 1) : summary.failed }, code)
