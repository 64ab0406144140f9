import { expect, test } from 'vitest'
import { type DiskUsage, summarizeDiskUsage } from '../../../src/engine/disk-usage.ts'

const image = { Id: '', ParentId: '', RepoTags: null, RepoDigests: null, Created: 0, Labels: null }
const container = {
  Id: '',
  Names: [],
  Image: '',
  ImageID: '',
  Command: '',
  Created: 0,
  Ports: [],
  Labels: {},
  Mounts: [],
  Networks: [],
  Status: '',
}

test('disk usage adds up as in docker system df', () => {
  const usage: DiskUsage = {
    LayersSize: 150,
    Images: [
      { ...image, Size: 100, SharedSize: 50, Containers: 1 },
      { ...image, Size: 100, SharedSize: 50, Containers: 0 },
    ],
    Containers: [
      { ...container, State: 'running', SizeRw: 7 },
      { ...container, State: 'exited', SizeRw: 5 },
      { ...container, State: 'created' },
    ],
    Volumes: [
      { Name: 'a', UsageData: { Size: 30, RefCount: 1 } },
      { Name: 'b', UsageData: { Size: 20, RefCount: 0 } },
      { Name: 'c', UsageData: { Size: -1, RefCount: -1 } },
    ],
    BuildCache: [
      { Size: 8, InUse: true, Shared: false },
      { Size: 4, InUse: false, Shared: false },
      { Size: 2, InUse: false, Shared: true },
    ],
  }
  expect(summarizeDiskUsage(usage)).toEqual([
    { kind: 'images', total: 2, active: 1, size: 150, reclaimable: 100 },
    { kind: 'containers', total: 3, active: 1, size: 12, reclaimable: 5 },
    { kind: 'volumes', total: 3, active: 1, size: 50, reclaimable: 20 },
    { kind: 'build cache', total: 3, active: 1, size: 12, reclaimable: 4 },
  ])
})

test('an empty engine uses no disk space', () => {
  const nothing = { LayersSize: 0, Images: [], Containers: [], Volumes: [], BuildCache: [] }
  expect(summarizeDiskUsage(nothing).every(({ total, size }) => total === 0 && size === 0)).toBe(
    true,
  )
})
