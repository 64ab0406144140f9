// Runs a TypeScript program of this repository, even with a Node.js that does not support TypeScript.
//   node scripts/run-ts.mjs [--lab] FILE.ts [ARGUMENT...]
// --lab runs it in namespaces where test/support/lab/lab.ts can start hosts. The namespaces end with the program.
import { register } from 'node:module'
import { resolve } from 'node:path'
import { argv, env, execPath, exit } from 'node:process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { prepareDockerPlugins } from '../test/support/lab/docker-plugins.mjs'
import { runInLab } from '../test/support/lab/enter.mjs'
import { prepareLab } from '../test/support/lab/prerequisites.mjs'

const self = fileURLToPath(import.meta.url)

if (argv[2] === '--lab') {
  const obstacle = prepareLab()
  if (obstacle !== undefined) {
    console.error(`No lab here: ${obstacle}`)
    exit(1)
  }
  env['FLEET_DOCKER_PLUGINS'] = JSON.stringify(prepareDockerPlugins())
  exit(await runInLab([execPath, self, ...argv.slice(3)]))
}

const [file, ...args] = argv.slice(2)
if (file === undefined) {
  console.error('usage: node scripts/run-ts.mjs [--lab] FILE.ts [ARGUMENT...]')
  exit(2)
}
register('./typescript-hook.mjs', import.meta.url)
const program = resolve(file)
argv.splice(1, argv.length, program, ...args)
await import(pathToFileURL(program).href)
