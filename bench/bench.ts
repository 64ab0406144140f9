// npm run bench [-- --json] [-- SUITE...]: fleet against its peers, the same work in the same run.
// Times are milliseconds; they age, ratios less so.
import { argv, stderr, stdout } from 'node:process'
import { parseArgs } from 'node:util'
import { type Case, memoryRuns, suites } from './cases.ts'
import { type Ground, prepareGround } from './ground.ts'
import { compare, measureMemory } from './measure.ts'
import { installPeers } from './peers.ts'

/** One line of the result: times in milliseconds, and fleet's as a part of the peer's. */
interface Row {
  readonly work: string
  readonly fleet: number
  readonly peer: string
  readonly peerTook: number
  readonly ratio: number
  /** The most that the ratio is to be. */
  readonly wanted?: number
}

const widths = [32, 8, 46, 8, 8, 8]

function print(...cells: string[]): void {
  const [first = '', ...others] = cells.map((cell, index) =>
    index === 0 || index === 2
      ? cell.padEnd(widths[index] ?? 0)
      : cell.padStart(widths[index] ?? 0),
  )
  stdout.write(`${[first, ...others].join('  ').trimEnd()}\n`)
}

const printRow = ({ work, fleet, peer, peerTook, ratio, wanted }: Row): void =>
  print(
    work,
    fleet.toFixed(0),
    peer,
    peerTook.toFixed(0),
    ratio.toFixed(2),
    wanted === undefined ? '' : `<= ${wanted}`,
  )

const { values, positionals } = parseArgs({
  args: argv.slice(2),
  options: { json: { type: 'boolean', default: false } },
  allowPositionals: true,
})
const unknown = positionals.filter((word) => !suites.some(({ name }) => name === word))
if (unknown.length > 0) {
  const names = suites.map(({ name }) => name).join(', ')
  throw new Error(`no such suite: ${unknown.join(', ')} (there are ${names})`)
}
const rows: Row[] = []

/** Tells what memory fleet takes for each host that it works on. */
async function tellMemory(ground: Ground): Promise<void> {
  const [all, one] = memoryRuns(ground)
  const [most, least] = [await measureMemory(all), await measureMemory(one)]
  const each = (most - least) / (ground.hosts.length - 1)
  const work = `memory, ${ground.hosts.length} hosts, cold`
  const told = [most / 1e6, least / 1e6].map((megabytes) => `${megabytes.toFixed(0)} MB`)
  stderr.write(`${work}: ${told[0]}; 1 host: ${told[1]}; ${(each / 1000).toFixed(0)} kB a host\n`)
}

async function runCase({ work, fleet, peers }: Case, rounds: number | undefined): Promise<void> {
  const [took = 0, ...theirs] = await compare([fleet, ...peers], rounds)
  for (const [index, { name, wanted, plusMs = 0 }] of peers.entries()) {
    const peerTook = (theirs[index] ?? 0) + plusMs
    const row: Row = {
      ...{ work, fleet: took, peer: name, peerTook, ratio: took / peerTook },
      ...(wanted !== undefined && { wanted }),
    }
    rows.push(row)
    if (!values.json) printRow(row)
  }
}

if (!values.json) print('WORK', 'FLEET ms', 'PEER', 'PEER ms', 'RATIO', 'WANTED')
for (const suite of suites) {
  if (positionals.length > 0 && !positionals.includes(suite.name)) continue
  if (suite.memory === true) await installPeers()
  await using ground = await prepareGround(suite.ground)
  for (const one of await suite.cases(ground)) await runCase(one, suite.rounds)
  if (suite.memory === true) await tellMemory(ground)
}
if (values.json) stdout.write(`${JSON.stringify(rows, undefined, 2)}\n`)
