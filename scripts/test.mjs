// npm test: makes this machine ready, builds, and runs vitest with the arguments given. Needs Node.js alone to start.
// The last line of its output is `N passed, N failed` or `N passed, N failed, N skipped`.
// FLEET_TEST_REQUIRE=all makes skipped tests a failure.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { chdir, env, execPath, exit, pid } from 'node:process'
import { fileURLToPath } from 'node:url'
import { runInLab } from '../test/support/lab/enter.mjs'
import { prepareLab } from '../test/support/lab/prerequisites.mjs'

chdir(fileURLToPath(new URL('..', import.meta.url)))

/** @typedef {import('../test/support/summary-reporter.ts').TestSummary} TestSummary */

function readJson(/** @type {string} */ file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined
}

/** Whether node_modules holds what package-lock.json says. */
function isInstalled() {
  const { packages: locked } = readJson('package-lock.json')
  const installed = readJson('node_modules/.package-lock.json')?.packages ?? {}
  return Object.entries(locked).every(
    ([path, { version, optional }]) =>
      path === '' || (installed[path] ? installed[path].version === version : optional),
  )
}

/** Runs npm, silent unless it fails. Gives whether it succeeded. */
function npm(/** @type {string[]} */ ...args) {
  const { status, stdout, stderr } = spawnSync('npm', args, {
    encoding: 'utf8',
    shell: process.platform === 'win32',
  })
  if (status !== 0) console.error(`npm ${args.join(' ')} failed:\n${stdout}${stderr}`)
  return status === 0
}

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

/** Prints the closing line and ends. */
function finish(
  /** @type {TestSummary} */ { passed, failed, skipped },
  /** @type {number} */ code,
) {
  const line = `${passed} passed, ${failed} failed`
  console.log(skipped.length > 0 ? `${line}, ${skipped.length} skipped` : line)
  exit(code)
}

if (!isInstalled() && !npm('ci', '--no-audit', '--no-fund'))
  finish({ passed: 0, failed: 1, skipped: [] }, 1)
const isBuilt = npm('run', 'build') // without it, what needs no build is still worth testing
const obstacle = prepareLab()

mkdirSync('node_modules/.cache', { recursive: true })
env['FLEET_TEST_SUMMARY'] = fileURLToPath(
  new URL(`../node_modules/.cache/tests-${pid}.json`, import.meta.url),
)
const vitest = [execPath, 'node_modules/vitest/vitest.mjs', 'run', ...process.argv.slice(2)]
const vitestCode = await (obstacle === undefined ? runInLab(vitest) : runHere(vitest))
/** @type {TestSummary} */
const summary = readJson(env['FLEET_TEST_SUMMARY']) ?? { passed: 0, failed: 0, skipped: [] }
rmSync(env['FLEET_TEST_SUMMARY'], { force: true })

explainSkipped(summary.skipped, obstacle)
const isComplete = summary.skipped.length === 0 && obstacle === undefined
const code = vitestCode || Number(!isBuilt || (env['FLEET_TEST_REQUIRE'] === 'all' && !isComplete))
const hasFailed = vitestCode !== 0 || !isBuilt
finish({ ...summary, failed: hasFailed ? Math.max(summary.failed, 1) : summary.failed }, code)
