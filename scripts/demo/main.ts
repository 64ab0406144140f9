// Plays the scenario on lab hosts. scripts/demo.mjs runs this file in separate namespaces.
import { exit, stdout } from 'node:process'
import { startLab } from '../../test/support/lab/lab.ts'
import { playScenario } from './play.ts'
import { scenario } from './scenario.ts'
import { readFingerprint, stopEngine, openSeat } from './stage.ts'

async function main(): Promise<void> {
  await using lab = await startLab({ hosts: 3, engine: true })
  const [computer, first, second] = lab.hosts
  if (!computer || !first || !second) throw new Error('the lab has too few hosts')
  await stopEngine(computer)
  const user = await openSeat(computer, lab.identity)
  const keys = new Map([
    [first, await readFingerprint(first)],
    [second, await readFingerprint(second)],
  ])
  const chapters = scenario({ first, second, fingerprint: (host) => keys.get(host) ?? '' })
  const began = performance.now()
  const count = await playScenario(user, chapters)
  const seconds = Math.round((performance.now() - began) / 1000)
  stdout.write(
    `\nShown in ${seconds} s: ${count} commands, each with the exit code it should have: a fleet of this computer\n` +
      'and two adopted hosts; an image built, run, listed, followed and removed on all of them; one host failing.\n',
  )
}

await main().catch((error: Error) => {
  console.error(`\nThe demo failed: ${error.message}`)
  exit(1)
})
