// npm test: makes this machine ready, builds, and runs vitest with the arguments given. Needs Node.js alone to start.
// Files on real hosts that failed run once more, alone: what passes then is listed as unsteady, which is a fault to mend.
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
/** @typedef {import('../test/support/vitest/summary-reporter.ts').FileSummary} FileSummary */

/** How many of the slowest files are listed. */
const mostSlow = 20

/** Where more files fail, running them again tells nothing new. */
const mostRepeated = 6

/** Runs a command on the machine as it is, and gives its exit code. */
function runHere(/** @type {string[]} */ [file = '', ...args]) {
  const child = spawn(file, args, { stdio: 'inherit', env })
  return new Promise((resolve) => {
    child.on('close', (code) => resolve(code ?? 1))
  })
}

/**
 * Runs vitest.
 * @param {string | undefined} obstacle why there is no lab here
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
 * Runs files again that failed beside others, alone. Gives the summary with the second results.
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
 * Says which tests were skipped and why, once for each file and reason.
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

/** Lists the slowest files, and how long each took. */
function listSlowest(/** @type {readonly FileSummary[]} */ files) {
  const slowest = files.toSorted((a, b) => b.seconds - a.seconds).slice(0, mostSlow)
  if (slowest.length > 1) console.log(`\nThe slowest ${slowest.length} files:`)
  for (const { file, seconds } of slowest) {
    console.log(`  ${seconds.toFixed(1).padStart(6)} s  ${file}`)
  }
}

/** Prints the closing line and ends. */
function finish(
  /** @type {{ passed: number, failed: number, skipped: number }} */ { passed, failed, skipped },
  /** @type {number} */ code,
) {
  const line = `${passed} passed, ${failed} failed`
  console.log(skipped > 0 ? `${line}, ${skipped} skipped` : line)
  exit(code)
}

if (!installDependencies()) finish({ passed: 0, failed: 1, skipped: 0 }, 1)
const isBuilt = buildProgram() // without it, what needs no build is still worth testing
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
