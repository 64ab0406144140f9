import { describe, expect, test } from 'vitest'
import { joinHistory } from '../../../src/engine/image-layers.ts'
import type { HistoryEntry, ImageDetails } from '../../../src/engine/images.ts'

const image = (...layers: string[]): ImageDetails => ({
  Id: 'sha256:1',
  RepoTags: null,
  Size: 60,
  RootFS: { Layers: layers },
})

/** Returns a history in the order of the engine: the last step first. */
const history = (...steps: [CreatedBy: string, Size: number][]): HistoryEntry[] =>
  steps
    .map(([CreatedBy, Size]) => ({
      CreatedBy,
      Size,
      Id: '<missing>',
      Created: 0,
      Tags: null,
      Comment: '',
    }))
    .toReversed()

describe('joinHistory', () => {
  test('matches steps that added bytes to layers, and skips settings', () => {
    const steps = history(
      ['/bin/sh -c #(nop) ADD file:1 in / ', 50],
      ['/bin/sh -c #(nop)  CMD ["sh"]', 0],
      ['/bin/sh -c make', 10],
    )
    expect(joinHistory(image('a', 'b'), steps)).toEqual([
      { digest: 'a', size: 50, createdBy: '/bin/sh -c #(nop) ADD file:1 in / ' },
      { digest: 'b', size: 10, createdBy: '/bin/sh -c make' },
    ])
  })

  test('tells empty layers from settings in histories written by BuildKit', () => {
    const steps = history(
      ['COPY / / # buildkit', 60],
      ['ENV A=b', 0],
      ['WORKDIR /', 0],
      ['RUN /bin/sh -c true # buildkit', 0],
      ['ENTRYPOINT ["sh"]', 0],
    )
    expect(joinHistory(image('a', 'b', 'c'), steps).map(({ createdBy }) => createdBy)).toEqual([
      'COPY / / # buildkit',
      'WORKDIR /',
      'RUN /bin/sh -c true # buildkit',
    ])
  })

  test('leaves steps undefined if the history does not fit the layers', () => {
    const steps = history(['squashed', 20], ['again', 40])
    expect(joinHistory(image('a', 'b', 'c'), steps)).toEqual([
      { digest: 'a' },
      { digest: 'b' },
      { digest: 'c' },
    ])
  })

  test('gives a single layer the size of its image, even without a history', () => {
    expect(joinHistory(image('a'), [])).toEqual([{ digest: 'a', size: 60 }])
  })

  test('accepts an image without layers', () => {
    expect(joinHistory({ ...image(), RootFS: {} }, [])).toEqual([])
  })
})
