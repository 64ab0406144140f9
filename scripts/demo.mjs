// npm run demo: demonstrates fleet's main features on Docker hosts, which it starts and removes again.
// Requires only Debian, root and Node.js. Exits with 0 if every command exits with the expected code.
import { existsSync } from 'node:fs'
import { execPath, exit, getuid, platform } from 'node:process'
import { runInLab } from '../test/support/lab/enter.mjs'
import { prepareLab } from '../test/support/lab/prerequisites.mjs'
import { buildProgram, checkout, installDependencies } from './checkout.mjs'

/** Returns the reason why the demo cannot run on this computer; undefined if it can. Does not change anything. */
function findObstacle() {
  if (platform !== 'linux' || !existsSync('/etc/debian_version'))
    return 'this is not Debian, nor made from it'
  if (getuid?.() !== 0) return 'this is not root'
}

const obstacle = findObstacle()
if (obstacle !== undefined) {
  console.error(`npm run demo starts Docker hosts in Linux namespaces, and ${obstacle}.
It needs a Debian machine (or Ubuntu) and root, such as a virtual machine to throw away. Nothing was changed.`)
  exit(1)
}

console.error('Getting ready: npm packages, the program, and what Docker hosts are made of …')
if (!installDependencies() || !buildProgram()) exit(1)
const lacking = prepareLab()
if (lacking !== undefined) {
  console.error(`No Docker hosts can be started here: ${lacking}.`)
  exit(1)
}

const code = await runInLab([
  execPath,
  `${checkout}scripts/run-ts.mjs`,
  `${checkout}scripts/demo/main.ts`,
])
console.log(
  'The hosts are gone, with their engines, their networks and their keys: nothing is left.',
)
exit(code)
