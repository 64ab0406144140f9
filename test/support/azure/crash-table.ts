import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Fault, OnCall } from './azure.ts'
import { testDescribed } from './described.ts'
import { type Attempt, type DriverSeat, newAttempt, seatDriver } from './driver-seat.ts'

let seat: DriverSeat
/** Creates a driver that fails after 300 ms without a response, and does not retry. */
const hastyDriver = () => seat.driverWith({ requestTimeoutMs: 300, retries: 0 })

beforeAll(async () => {
  seat = await seatDriver({ settleMs: 5, pageSize: 50 }, { requestTimeoutMs: 30_000, pollMs: 15 })
  seat.azure.addGroup('yours')
})
afterAll(() => seat[Symbol.asyncDispose]())

/** A call in a run without faults: its operation, and its number among the calls of that operation, counted from 1. */
interface Point {
  readonly operation: string
  readonly number: number
}

/** The driver that makes an attempt, and the signal that aborts it. */
interface How {
  readonly driver: DriverSeat['driver']
  readonly signal: AbortSignal
}

const interruptions = ['killed before', 'killed after', 'error', 'time-out'] as const
type Interruption = (typeof interruptions)[number]

const faults: Readonly<Record<Interruption, Fault>> = {
  'killed before': { when: 'before', how: 'hang' },
  'killed after': { when: 'after', how: 'hang' },
  error: {
    when: 'before',
    how: { status: 500, body: { error: { code: 'InternalServerError', message: 'It failed.' } } },
  },
  'time-out': { when: 'after', how: 'hang' },
}

/**
 * Runs `work` with a fault of the given kind at the call `point`. If the fault kills the command, no
 * further call reaches Azure. Returns whether `work` failed.
 */
async function meet(
  point: Point,
  kind: Interruption,
  work: (how: How) => Promise<unknown>,
): Promise<boolean> {
  const killed = new AbortController()
  let seen = 0
  let isOver = false
  const onCall: OnCall = (operation) => {
    if (killed.signal.aborted) return { when: 'before', how: 'reset' }
    if (operation !== point.operation) return undefined
    seen += 1
    if (seen < point.number) return undefined
    if (kind.startsWith('killed')) killed.abort(new Error('killed'))
    // Retries of the call fail too: only the next attempt succeeds.
    return isOver ? undefined : faults[kind]
  }
  seat.azure.onCall = onCall
  try {
    // A new driver, as in a new command, has cached no responses.
    const driver = kind === 'time-out' ? hastyDriver() : seat.driverWith({})
    await work({ driver, signal: killed.signal })
    return false
  } catch {
    return true
  } finally {
    isOver = true
    seat.azure.onCall = undefined
  }
}

/**
 * Resolves to the calls that `work` makes. Only the first two polls of an operation are included, because their number
 * varies.
 */
async function pointsOf(work: () => Promise<unknown>): Promise<Point[]> {
  const counts = new Map<string, number>()
  const points: Point[] = []
  seat.azure.onCall = (operation) => {
    const number = (counts.get(operation) ?? 0) + 1
    counts.set(operation, number)
    if (!operation.includes('login.') && (operation !== 'GET operation' || number <= 2))
      points.push({ operation, number })
    return undefined
  }
  await work()
  seat.azure.onCall = undefined
  return points
}

const firstPut = (points: readonly Point[]): number =>
  points.findIndex(({ operation }) => operation.startsWith('PUT'))

const typesLeft = (): string[] =>
  seat.azure
    .remains()
    .filter((id) => !id.endsWith('/resourceGroups/yours'))
    .map((id) => /\/([^/]+)\/[^/]+$/.exec(id)?.[1] ?? '')
    .sort()

/** The types of a host's resources, without its resource group. */
export const oneOfEach = [
  'disks',
  'networkInterfaces',
  'networkSecurityGroups',
  'publicIPAddresses',
  'virtualMachines',
  'virtualNetworks',
]

const attempt = (host: Attempt, how: How) => seat.attempt(host, how)
const nothing = async () => {}

/**
 * Defines tests that interrupt a creation and a removal at each of their calls. `where` names the resource group of the
 * host in the tables, `given` sets the options of the host, and `whole` lists the types of all its resources.
 */
export function testCrashes(
  where: string,
  given: Partial<Record<string, unknown>>,
  whole: readonly string[],
): void {
  const newHost = (): Attempt => newAttempt(seat.options(given))

  /**
   * For each call and each kind of fault, runs `prepare`, `work` with the fault, and `after`, which returns the
   * problems that it finds. Prints a table, and returns all problems.
   */
  async function fillTable(
    title: string,
    points: readonly Point[],
    work: (host: Attempt, how: How) => Promise<unknown>,
    prepare: (host: Attempt) => Promise<unknown>,
    after: (host: Attempt) => Promise<string[]>,
  ): Promise<string[]> {
    const wrong: string[] = []
    const lines: string[] = []
    for (const point of points) {
      const row =
        point.operation.replace(/publishers.*versions/, '…') +
        (point.number > 1 ? ` (${point.number})` : '')
      const cells: string[] = []
      for (const kind of interruptions) {
        const host = newHost()
        await prepare(host)
        const hasFailed = await meet(point, kind, (how) => work(host, how))
        const left = typesLeft().length
        const found = await after(host).catch((error: unknown) => [String(error)])
        found.push(...typesLeft().map((type) => `${type} is left`))
        wrong.push(...found.map((text) => `${row}, ${kind}: ${text}`))
        cells.push(
          `${kind}: ${hasFailed ? `failed with ${left} resources left` : 'continued'}, ${found.length > 0 ? 'then WRONG' : 'then correct'}`,
        )
        await seat.azure.idle()
        seat.azure.clear()
      }
      lines.push(`  ${row.padEnd(60)} ${cells.join(' | ')}`)
    }
    console.log([title, ...lines].join('\n'))
    return wrong
  }

  const pointsOfCreation = async (): Promise<Point[]> => {
    const clean = newHost()
    const points = await pointsOf(() => seat.attempt(clean, { driver: seat.driverWith({}) }))
    expect(typesLeft()).toEqual(whole)
    await seat.remove(clean.record)
    expect(typesLeft()).toEqual([])
    expect(points.length).toBeGreaterThan(15)
    return points
  }

  test('a repeated creation leaves one resource of each type, and its removal none', async () => {
    const all = await pointsOfCreation()
    // The calls before the first PUT are the same for every group.
    const points = 'resourceGroup' in given ? all.slice(firstPut(all)) : all
    const wrong = await fillTable('create, create, rm', points, attempt, nothing, async (host) => {
      await seat.attempt(host)
      const types = typesLeft()
      await seat.remove(host.record)
      return String(types) === String(whole) ? [] : [`${types.join(' ')} exist`]
    })
    expect(wrong).toEqual([])
  })

  test('removal after a failed creation leaves no resources', async () => {
    // Before the first PUT, there is nothing to remove.
    const all = await pointsOfCreation()
    const points = all.slice(firstPut(all))
    const wrong = await fillTable(
      `create, rm in ${where}`,
      points,
      attempt,
      nothing,
      async (host) => {
        await seat.remove(host.record)
        await seat.azure.idle()
        return []
      },
    )
    expect(wrong).toEqual([])
  })

  test('a repeated removal leaves no resources', async () => {
    const clean = newHost()
    await seat.attempt(clean)
    const points = await pointsOf(() => seat.remove(clean.record))
    const wrong = await fillTable(
      `rm, rm in ${where}`,
      points,
      async (host, { driver, signal }) => driver.lifecycle?.remove(host.record, seat.call(signal)),
      (host) => seat.attempt(host),
      async (host) => {
        await seat.remove(host.record)
        return []
      },
    )
    expect(wrong).toEqual([])
  })

  test('a creation that was killed while recording the id finds its host again', async () => {
    const host = newHost()
    const killed = new AbortController()
    const onRecord = () => killed.abort(new Error('killed'))
    await expect(seat.attempt(host, { signal: killed.signal, onRecord })).rejects.toThrow('killed')
    expect(host.record.id).toBeUndefined()
    await seat.attempt(host)
    expect(typesLeft()).toEqual(whole)
    await seat.remove(host.record)
    expect(typesLeft()).toEqual([])
  })
  testDescribed(() => seat.azure.exchanges)
}
