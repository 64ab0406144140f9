import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** Directory for files that are kept between runs, next to the lab's temporary directory, which is not kept. */
const cacheRoot = dirname(tmpdir())

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  )

/**
 * Returns a directory that is created once and kept in this computer's temporary directory, under a name that depends
 * on `recipe`. `make` fills an empty directory, which is renamed only on success; if two processes create it
 * concurrently, the first one wins.
 */
export async function cachedFolder(
  kind: string,
  recipe: unknown,
  make: (folder: string) => Promise<void>,
): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(recipe)).digest('hex').slice(0, 12)
  const folder = join(cacheRoot, `fleet-${kind}-${hash}`)
  if (await exists(folder)) return folder
  await mkdir(cacheRoot, { recursive: true })
  const building = await mkdtemp(join(cacheRoot, `fleet-${kind}-building-`))
  try {
    await make(building)
    await rename(building, folder)
  } catch (error) {
    await rm(building, { recursive: true, force: true })
    if (!(await exists(folder))) throw error
  }
  return folder
}
