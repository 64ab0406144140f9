import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { mergeSorted } from '../../../src/operations/fan-out/merge-sorted.ts'
import { collect } from '../../support/collect.ts'

async function* from<T>(
  items: readonly T[],
  read: (item: T) => void = () => {},
): AsyncGenerator<T> {
  for (const item of items) {
    read(item)
    yield item
  }
}

describe('mergeSorted', () => {
  test('yields all items of all sources in order', async () => {
    const sources = fc.array(fc.array(fc.string({ maxLength: 2 })).map((items) => items.toSorted()))
    await fc.assert(
      fc.asyncProperty(sources, async (sorted) => {
        const merged = await collect(
          mergeSorted(
            sorted.map((items) => from(items)),
            (item) => item,
          ),
        )
        expect(merged).toEqual(sorted.flat().toSorted())
      }),
    )
  })

  test('keeps the order within a source that is not sorted', async () => {
    const merged = await collect(
      mergeSorted([from(['1', '5', '2', '6']), from(['3', '4', '7'])], (item) => item),
    )
    expect(merged).toEqual(['1', '3', '4', '5', '2', '6', '7'])
  })

  test('does not read far ahead in any source', async () => {
    const read: number[] = []
    const long = Array.from({ length: 1000 }, (_, index) => index)
    const merged = mergeSorted([from(long, (item) => read.push(item)), from([500])], (item) =>
      String(item).padStart(4, '0'),
    )
    for await (const item of merged) if (item === 10) break
    expect(read.length).toBeLessThan(13)
  })
})
