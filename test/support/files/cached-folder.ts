import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** The lab's own temporary folder is thrown away with it; what is kept between runs lies beside it. */
const cacheRoot = dirname(tmpdir())

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  )

/**
 * A folder that is made once and kept in the machine's temporary folder, under a name that
 * changes with `recipe`. `make` fills an empty folder, which gets its name only when it succeeds;
 * of two that make it at once, the first one counts.
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
