import { describe, expect, test } from 'vitest'
import type { Engine } from '../../../../src/engine/engine.ts'
import { UserError } from '../../../../src/errors.ts'
import {
  type StackContainer,
  findComparedImages,
} from '../../../../src/operations/stacks/observe-stack.ts'
import type { StackModel } from '../../../../src/operations/stacks/stack-model.ts'

const model: StackModel = {
  name: 'shop',
  services: { web: { image: 'app:1' }, db: { image: 'db:1' }, built: {} },
}

const container = (service: string, more: Partial<StackContainer> = {}): StackContainer => ({
  ...{ id: service, name: `shop-${service}-1`, service, hash: '', version: '2.40.3', labels: {} },
  ...{ image: 'sha256:a', imageName: 'app:1', imageId: 'sha256:a', state: 'running' },
  ...{ exitCode: undefined, health: undefined, networks: [], mounts: [] },
  ...more,
})

/**
 * Resolves to the images that were found, and the names that the engine was asked for. The engine has the image
 * `app:1`.
 */
async function find(
  containers: readonly StackContainer[],
  release: string | undefined = '20.10.24',
) {
  const asked: string[] = []
  const engine = {
    async json({ path }: { path: string }) {
      const [, name = ''] = /^\/images\/(.+)\/json$/.exec(path) ?? []
      asked.push(decodeURIComponent(name))
      if (name === 'app%3A1') return { Id: 'sha256:b' }
      throw new UserError('failed', `No such image: ${name}`)
    },
  } as unknown as Engine
  const images = await findComparedImages(engine, model, { containers, release })
  return { images: Object.fromEntries(images), asked }
}

describe('the images to compare containers with', () => {
  test('are taken from the list of containers while their names are current', async () => {
    expect(await find([container('web')])).toEqual({ images: { 'app:1': 'sha256:a' }, asked: [] })
  })

  test('are requested if their name refers to a newer image, since Docker lists the old one by ID', async () => {
    const old = container('web', { imageName: 'sha256:a' })
    expect(await find([old])).toEqual({ images: { 'app:1': 'sha256:b' }, asked: ['app:1'] })
    const [newer] = [container('web', { id: '2', image: 'sha256:b', imageId: 'sha256:b' })]
    expect(await find([old, newer ?? old])).toEqual({ images: { 'app:1': 'sha256:b' }, asked: [] })
  })

  test('are requested if Compose recorded another image than the engine lists', async () => {
    const unlike = container('web', { image: 'sha256:manifest' })
    expect(await find([unlike])).toMatchObject({ asked: ['app:1'] })
  })

  test.each(['4.3.1', undefined, 'unknown'])(
    'are requested if the engine may list outdated names: %s',
    async (release) => {
      expect(await find([container('web')], release ?? '')).toEqual({
        images: { 'app:1': 'sha256:b' },
        asked: ['app:1'],
      })
    },
  )

  test('are missing if the engine does not have them, or no container needs them', async () => {
    const db = container('db', { imageName: 'sha256:a' })
    expect(await find([db])).toEqual({ images: {}, asked: ['db:1'] })
    expect(await find([])).toEqual({ images: {}, asked: [] })
  })
})
