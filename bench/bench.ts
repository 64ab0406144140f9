// npm run bench [-- --json] [-- SUITE...]: compares fleet with its peers, which do the same work in the same run.
// Times are in milliseconds and depend on the computer; ratios depend on it less.
import { argv, stderr, stdout } from 'node:process'
import { parseArgs } from 'node:util'
import { type Case, memoryRuns, suites } from './cases.ts'
import { type Ground, prepareGround } from './ground.ts'
import { compare, measureMemory } from './measure.ts'
import { installPeers } from './peers.ts'

/** One row of the result. Times are in milliseconds. */
interface Row {
  readonly work: string
  readonly fleet: number
  /** The processor time of all processes on fleet's side. */
  readonly fleetProcessor: number
  readonly peer: string
  /** The peer's time. Absent, like the next two fields, if the peer was too slow to be measured. */
  readonly peerTook?: number
  readonly peerProcessor?: number
  readonly ratio?: number
  /** A lower bound for the peer's time, as a multiple of fleet's time, if the peer was too slow. */
  readonly peerTimes?: number
  /** The target: the maximum allowed `ratio`, which is fleet's time divided by the peer's time. */
  readonly wanted?: number
}

const widths = [32, 8, 8, 46, 8, 8, 8, 8]

function print(...cells: string[]): void {
  const [first = '', ...others] = cells.map((cell, index) =>
    index === 0 || index === 3
      ? cell.padEnd(widths[index] ?? 0)
      : cell.padStart(widths[index] ?? 0),
  )
  stdout.write(`${[first, ...others].join('  ').trimEnd()}\n`)
}

const printRow = (row: Row): void =>
  print(
    row.work,
    row.fleet.toFixed(0),
    row.fleetProcessor.toFixed(0),
    row.peer,
    row.peerTook?.toFixed(0) ?? `>${row.peerTimes?.toFixed(0)}x`,
    row.peerProcessor?.toFixed(0) ?? '',
    row.ratio?.toFixed(2) ?? '',
    row.wanted === undefined ? '' : `<= ${row.wanted}`,
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

/** Prints how much memory fleet uses per host. */
async function tellMemory(ground: Ground): Promise<void> {
  const [all, one] = memoryRuns(ground)
  const [most, least] = [await measureMemory(all), await measureMemory(one)]
  const each = (most - least) / (ground.machines.length - 1)
  const work = `memory, ${ground.machines.length} hosts, cold`
  const told = [most / 1e6, least / 1e6].map((megabytes) => `${megabytes.toFixed(0)} MB`)
  stderr.write(`${work}: ${told[0]}; 1 host: ${told[1]}; ${(each / 1000).toFixed(0)} kB a host\n`)
}

async function runCase({ work, fleet, peers }: Case, rounds: number | undefined): Promise<void> {
  const [own, ...theirs] = await compare([fleet, ...peers], rounds)
  if (own === undefined || 'limit' in own) {
    stderr.write(`${work}: fleet was too slow to be measured\n`)
    process.exitCode = 1
    return
  }
  for (const [index, { name, wanted, plusMs = 0 }] of peers.entries()) {
    const their = theirs[index]
    if (their === undefined) continue
    const { elapsed } = own
    const row: Row = {
      ...{ work, fleet: elapsed, fleetProcessor: own.processor, peer: name },
      ...('limit' in their
        ? { peerTimes: their.limit / elapsed }
        : {
            peerTook: their.elapsed + plusMs,
            peerProcessor: their.processor,
            ratio: elapsed / (their.elapsed + plusMs),
          }),
      ...(wanted !== undefined && { wanted }),
    }
    rows.push(row)
    if (!values.json) printRow(row)
  }
}

if (!values.json)
  print('WORK', 'FLEET ms', 'CPU ms', 'PEER', 'PEER ms', 'CPU ms', 'RATIO', 'TARGET')
for (const suite of suites) {
  if (positionals.length > 0 && !positionals.includes(suite.name)) continue
  if (suite.memory === true) await installPeers()
  await using ground = await prepareGround(suite.ground)
  for (const one of await suite.cases(ground)) await runCase(one, suite.rounds)
  if (suite.memory === true) await tellMemory(ground)
  if (suite.tell !== undefined) stderr.write(`${await suite.tell(ground)}\n`)
}
if (values.json) stdout.write(`${JSON.stringify(rows, undefined, 2)}\n`)
