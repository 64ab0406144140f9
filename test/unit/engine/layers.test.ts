import { describe, expect, test } from 'vitest'
import { joinHistory } from '../../../src/engine/image-layers.ts'
import type { HistoryEntry, ImageDetails } from '../../../src/engine/images.ts'

const image = (...layers: string[]): ImageDetails => ({
  Id: 'sha256:1',
  RepoTags: null,
  Size: 60,
  RootFS: { Layers: layers },
})

/** A history as the engine gives it: the last step first. */
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
  test('gives steps that added bytes to layers, past settings', () => {
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

  test('knows layers of no bytes from settings, as buildkit writes them', () => {
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

  test('leaves steps unknown where the history fits no way', () => {
    const steps = history(['squashed', 20], ['again', 40])
    expect(joinHistory(image('a', 'b', 'c'), steps)).toEqual([
      { digest: 'a' },
      { digest: 'b' },
      { digest: 'c' },
    ])
  })

  test('an only layer is as large as its image, also without a history', () => {
    expect(joinHistory(image('a'), [])).toEqual([{ digest: 'a', size: 60 }])
  })

  test('an image may have no layers', () => {
    expect(joinHistory({ ...image(), RootFS: {} }, [])).toEqual([])
  })
})
