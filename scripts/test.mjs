// npm test: prepares this computer, builds, and runs vitest with the given arguments. Only Node.js must be installed.
// Test files that fail run once more, without others in parallel. Files that then pass are listed as unsteady: unsteady
// tests are bugs, too. The last line of the output is `N passed, N failed` or `N passed, N failed, N skipped`.
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
/** @typedef {import('../test/support/vitest/summary-reporter.ts').FileSummary} FileSummary */

/** The number of slow files to list. */
const mostSlow = 20

/** The maximum number of failed files to run again. */
const mostRepeated = 6

/** Runs a command outside the lab. Resolves to its exit code. */
function runHere(/** @type {string[]} */ [file = '', ...args]) {
  const child = spawn(file, args, { stdio: 'inherit', env })
  return new Promise((resolve) => {
    child.on('close', (code) => resolve(code ?? 1))
  })
}

/**
 * Runs vitest.
 * @param {string | undefined} obstacle the reason why this computer has no lab; undefined if it has one
 * @param {readonly string[]} args
 * @returns {Promise<TestSummary & { code: number }>}
 */
async function runTests(obstacle, args) {
  const summaryFile = `${checkout}node_modules/.cache/tests-${pid}.json`
  env['FLEET_TEST_SUMMARY'] = summaryFile
  const vitest = [execPath, 'node_modules/vitest/vitest.mjs', 'run', ...args]
  const code = await (obstacle === undefined ? runInLab(vitest) : runHere(vitest))
  /** @type {TestSummary} */
  const summary = existsSync(summaryFile)
    ? JSON.parse(readFileSync(summaryFile, 'utf8'))
    : { files: [], errors: 1 }
  rmSync(summaryFile, { force: true })
  return { ...summary, code }
}

/** @param {readonly FileSummary[]} files */
const failedOf = (files) => files.filter(({ failed }) => failed > 0)

/**
 * Runs the tests, and runs failed files once more without others in parallel. Returns the summary, with the results of
 * the second runs.
 * @param {string | undefined} obstacle
 * @param {readonly string[]} args
 */
async function runSteadily(obstacle, args) {
  const first = await runTests(obstacle, args)
  const failed = failedOf(first.files)
  const isWorthIt =
    first.errors === 0 &&
    first.files.length > 1 &&
    failed.length > 0 &&
    failed.length <= mostRepeated
  if (!isWorthIt) return first

  const names = failed.map(({ file }) => file)
  console.log(`\nFailed, and run once more, alone: ${names.join(', ')}\n`)
  const options = args.filter((arg, index) => arg === '-t' || args[index - 1] === '-t')
  const again = await runTests(obstacle, [...names, ...options, '--maxWorkers=1'])
  const stillFailed = new Set(failedOf(again.files).map(({ file }) => file))
  const unsteady = names.filter((name) => !stillFailed.has(name))
  if (again.files.length > 0 && unsteady.length > 0) {
    console.log(
      '\nUnsteady: failed beside other files, passed alone (see the first failure above):',
    )
    for (const name of unsteady) console.log(`  ${name}`)
  }
  const rest = first.files.filter(({ file }) => !names.includes(file))
  return { ...again, files: [...rest, ...again.files] }
}

/**
 * Prints the number of skipped tests for each file and reason.
 * @param {readonly FileSummary[]} files
 * @param {string | undefined} obstacle
 */
function explainSkipped(files, obstacle) {
  const counts = new Map()
  for (const { file, skipped } of files) {
    for (const reason of skipped) {
      const line = reason === '' ? file : `${file}: ${reason}`
      counts.set(line, (counts.get(line) ?? 0) + 1)
    }
  }
  if (counts.size > 0) console.log('\nSkipped:')
  for (const [line, count] of counts) console.log(`  ${count} in ${line}`)
  if (obstacle !== undefined)
    console.log(`No lab here, so all that needs hosts is skipped: ${obstacle}.`)
}

/** Prints the slowest files with their durations. */
function listSlowest(/** @type {readonly FileSummary[]} */ files) {
  const slowest = files.toSorted((a, b) => b.seconds - a.seconds).slice(0, mostSlow)
  if (slowest.length > 1) console.log(`\nThe slowest ${slowest.length} files:`)
  for (const { file, seconds } of slowest) {
    console.log(`  ${seconds.toFixed(1).padStart(6)} s  ${file}`)
  }
}

/** Prints the last line and exits. */
function finish(
  /** @type {{ passed: number, failed: number, skipped: number }} */ { passed, failed, skipped },
  /** @type {number} */ code,
) {
  const line = `${passed} passed, ${failed} failed`
  console.log(skipped > 0 ? `${line}, ${skipped} skipped` : line)
  exit(code)
}

if (!installDependencies()) finish({ passed: 0, failed: 1, skipped: 0 }, 1)
const isBuilt = buildProgram() // if it fails, tests that do not need the build still run
const obstacle = prepareLab()
if (obstacle === undefined) env['FLEET_DOCKER_PLUGINS'] = JSON.stringify(prepareDockerPlugins())

mkdirSync('node_modules/.cache', { recursive: true })
const { files, errors, code: vitestCode } = await runSteadily(obstacle, process.argv.slice(2))
const total = {
  passed: files.reduce((sum, { passed }) => sum + passed, 0),
  failed: errors + files.reduce((sum, { failed }) => sum + failed, 0),
  skipped: files.reduce((sum, { skipped }) => sum + skipped.length, 0),
}

listSlowest(files)
explainSkipped(files, obstacle)
const isComplete = total.skipped === 0 && obstacle === undefined
const code = vitestCode || Number(!isBuilt || (env['FLEET_TEST_REQUIRE'] === 'all' && !isComplete))
const hasFailed = vitestCode !== 0 || !isBuilt
finish({ ...total, failed: hasFailed ? Math.max(total.failed, 1) : total.failed }, code)
