// npm run bench [-- --json] [-- WORD...]: fleet against its peers, the same work in the same run.
// Words choose the cases whose name has one of them. Times are milliseconds; they age, ratios less so.
import { argv, stdout } from 'node:process'
import { parseArgs } from 'node:util'
import { allCases } from './cases.ts'
import { prepareGround } from './ground.ts'
import { compare } from './measure.ts'

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

const hostCount = 10
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
const isChosen = (work: string): boolean =>
  positionals.length === 0 || positionals.some((word) => work.includes(word))

await using ground = await prepareGround(hostCount)
const rows: Row[] = []
if (!values.json) print('WORK', 'FLEET ms', 'PEER', 'PEER ms', 'RATIO', 'WANTED')
for (const { work, fleet, peers } of (await allCases(ground)).filter((one) => isChosen(one.work))) {
  const [took = 0, ...theirs] = await compare([fleet, ...peers])
  for (const [index, { name, wanted }] of peers.entries()) {
    const peerTook = theirs[index] ?? 0
    const row: Row = {
      ...{ work, fleet: took, peer: name, peerTook, ratio: took / peerTook },
      ...(wanted !== undefined && { wanted }),
    }
    rows.push(row)
    if (!values.json) printRow(row)
  }
}
if (values.json) stdout.write(`${JSON.stringify(rows, undefined, 2)}\n`)
