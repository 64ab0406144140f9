import { nearest } from '../../machine/nearest-name.ts'
import { type ContainerSummary, containerName } from '../../engine/containers.ts'

/**
 * The names that docker accepts for containers (moby, RestrictedNameChars). A malicious engine could send an option as
 * a name.
 */
const validName = /^[a-zA-Z0-9][\w.-]*$/

/**
 * A word that identifies a container on command lines and is never an option: its name or, if the engine sent no valid
 * one, its ID.
 */
export function containerWord(container: ContainerSummary): string {
  const name = containerName(container)
  return validName.test(name) ? name : container.Id
}

/** The Compose service of a container, if any. */
export const serviceOf = ({ Labels }: ContainerSummary): string | undefined =>
  Labels['com.docker.compose.service']

/** The Compose project of a container, if any. */
export const projectOf = ({ Labels }: ContainerSummary): string | undefined =>
  Labels['com.docker.compose.project']

/** The beginning of an ID. It has a minimum length, since names such as `db` and `cafe` are hexadecimal too. */
const idPrefix = /^[0-9a-f]{6,64}$/

/**
 * The containers of a machine whose name or Compose service is `name`. If there are none, the containers whose ID
 * begins with `name`, which must then have at least six digits.
 */
export function matchContainers(
  containers: readonly ContainerSummary[],
  name: string,
): readonly ContainerSummary[] {
  const named = containers.filter(
    (container) => container.Names.includes(`/${name}`) || serviceOf(container) === name,
  )
  if (named.length > 0 || !idPrefix.test(name)) return named
  return containers.filter(({ Id }) => Id.startsWith(name))
}

/** The name of the container or Compose service that is closest to a mistyped name. */
export const nearestContainer = (
  containers: readonly ContainerSummary[],
  name: string,
): string | undefined =>
  nearest(
    name,
    containers.flatMap((container) =>
      [containerName(container), serviceOf(container) ?? []].flat(),
    ),
  )
