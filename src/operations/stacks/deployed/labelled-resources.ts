import { list, listOrNull, nothing, object, text } from '../../../engine/answer.ts'
import type { Engine } from '../../../engine/engine.ts'

/** A kind of resource that has a name and labels. */
type Kind = 'networks' | 'volumes'

const readNamed = object<{ readonly Name: string }>({ Name: text })
const readNetworks = list(readNamed)
const readVolumes = object<{ readonly Volumes: readonly { readonly Name: string }[] }>({
  Volumes: listOrNull(readNamed), // null if there are none
})

/** The names of the networks or volumes that have a label, such as `role=web`, in alphabetical order. */
export async function listLabelled(
  engine: Engine,
  kind: Kind,
  label: string,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  const query = { filters: { label: [label] } }
  const request = { path: `/${kind}`, query, ...(signal && { signal }) }
  const found =
    kind === 'volumes'
      ? (await engine.json(request, readVolumes)).Volumes
      : await engine.json(request, readNetworks)
  return found.map(({ Name }) => Name).toSorted()
}

/** Removes a network or volume. Throws kind `failed` if a container uses it. */
export async function removeNamed(
  engine: Engine,
  kind: Kind,
  name: string,
  signal?: AbortSignal,
): Promise<void> {
  const path = `/${kind}/${encodeURIComponent(name)}`
  await engine.json({ method: 'DELETE', path, ...(signal && { signal }) }, nothing)
}
