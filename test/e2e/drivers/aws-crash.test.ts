import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Aws, startAws } from '../../support/aws/aws.ts'
import {
  type CrashPoint,
  type CrashRow,
  countPoints,
  crash,
  failFromCall,
  interruptCall,
  killAtCall,
  killAtWrite,
  loseAnswer,
} from '../../support/crash/creation-crash.ts'
import { labIsHere } from '../../support/lab/lab.ts'

/** Number of concurrent creations, each in a separate account. */
const lanes = 6 // most of the time they wait for the locks of dead processes

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1)

/** Returns all points at which a creation is interrupted. */
function pointsOf({ calls, writes }: { calls: number; writes: number }) {
  const kills = [
    ...numbers(calls).flatMap((n) => [killAtCall(n, 'before'), killAtCall(n, 'after')]),
    ...numbers(writes).flatMap((n) => [killAtWrite(n, 'before'), killAtWrite(n, 'after')]),
  ]
  const errors = numbers(calls).flatMap((n) => [failFromCall(n), loseAnswer(n), interruptCall(n)])
  return {
    finished: [...kills, ...errors],
    undone: numbers(calls).map((n) => killAtCall(n, 'after')),
  }
}

function showTable(rows: readonly CrashRow[]): void {
  const columns = [
    'place',
    'how',
    'at',
    'fired',
    'first',
    'again',
    'made',
    'removed',
    'left',
  ] as const
  const cells = [columns, ...rows.map((row) => columns.map((column) => String(row[column])))]
  const widths = columns.map((_, index) => Math.max(...cells.map((row) => row[index]?.length ?? 0)))
  const lines = cells.map((row) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  '))
  console.log(lines.join('\n'))
}

describe.skipIf(!labIsHere)('an interrupted creation on AWS', () => {
  let accounts: Aws[] = []
  let points: ReturnType<typeof pointsOf>

  beforeAll(async () => {
    const lags = { pending: 30, address: 30, stopping: 30, shuttingDown: 30, hidden: 30 }
    const options = { hosts: 'lab', lags: { ...lags, groupHeld: 50 } } as const
    accounts = await Promise.all(numbers(lanes).map(() => startAws(options)))
    const [first] = accounts
    if (first === undefined) throw new Error('no account')
    points = pointsOf(await countPoints(first))
  })

  afterAll(async () => {
    for (const account of accounts) await account[Symbol.asyncDispose]()
  })

  /** Runs the crash tests concurrently, one at a time per account. Resolves to the rows in the order of the points. */
  async function run(chosen: readonly CrashPoint[], mode: 'again' | 'undo'): Promise<CrashRow[]> {
    const rows = new Map<CrashPoint, CrashRow>()
    const waiting = chosen.values()
    await Promise.all(
      accounts.map(async (account) => {
        for (const point of waiting) rows.set(point, await crash(account, point, mode))
      }),
    )
    return chosen.flatMap((point) => rows.get(point) ?? [])
  }

  const whole = { again: 0, made: '1 instance, 1 group, 1 key pair' }
  const gone = { removed: 0, left: 'nothing, nothing' }

  test('is finished by the same command with one of each resource, and removed completely', async () => {
    const rows = await run(points.finished, 'again')
    showTable(rows)
    const alive = rows.filter(
      ({ how, fired, first }) => how.startsWith('killed') && fired && first !== -2,
    )
    expect(alive).toEqual([])
    expect(rows.filter(({ fired }) => !fired).length).toBeLessThanOrEqual(2) // only the final status calls
    const wrong = rows.filter((row) => row.again !== 0 || row.made !== whole.made)
    expect(wrong).toEqual([])
    expect(rows.map(({ removed, left }) => ({ removed, left }))).toEqual(rows.map(() => gone))
  })

  test('is removed by rm, with nothing left', async () => {
    const rows = await run(points.undone, 'undo')
    showTable(rows)
    expect(rows.map(({ removed, left }) => ({ removed, left }))).toEqual(rows.map(() => gone))
  })
})
