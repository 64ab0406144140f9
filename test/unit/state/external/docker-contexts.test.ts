import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openDockerContexts } from '../../../../src/state/external/docker-contexts.ts'

test('lists contexts by name, with numbers in numeric order', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'contexts-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const store = openDockerContexts({ DOCKER_CONFIG: folder })
  const names = ['db', 'web-1', 'web-2', 'web-3', 'web-10', 'web-11']
  for (const name of names.toReversed()) {
    await store.write({ name, description: '', host: `unix:///${name}`, inventory: 'a' })
  }
  expect((await store.list()).map(({ name }) => name)).toEqual(names)
})
