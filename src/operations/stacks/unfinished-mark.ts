import type { ContainerSummary } from '../../engine/containers.ts'
import type { Engine } from '../../engine/engine.ts'
import { ignored } from '../../os/trace.ts'
import { createIdle, idleLabels, isIdle, listIdle, removeIdle } from './idle-container.ts'
import { imagePart, projectLabel } from './stack-model.ts'

/** Whether a container marks its stack as unfinished. */
export const isUnfinishedMark = (container: ContainerSummary): boolean =>
  isIdle(container, [idleLabels.unfinished])

/**
 * Marks a stack on a host as unfinished before its files are changed. Until the deployment ends, containers may be
 * mounting different files from those with which they were created. The mark is a container that is never started. It
 * appears in the list of the stack's containers, so a plan does not need another request; Compose ignores it, because
 * it has no hash. `image` is the ID of any image on the host.
 */
export async function markUnfinished(engine: Engine, stack: string, image: string): Promise<void> {
  if ((await listIdle(engine, idleLabels.unfinished, stack)).length > 0) return
  const labels = { [idleLabels.unfinished]: stack, [projectLabel]: stack }
  await createIdle(engine, { name: `fleet-unfinished-${imagePart(stack)}`, image, labels })
}

/** Removes the mark of a stack. If that fails, the next plan deploys the stack again. */
export const clearUnfinished = (engine: Engine, stack: string): Promise<void> =>
  listIdle(engine, idleLabels.unfinished, stack)
    .then((marks) => removeIdle(engine, marks))
    .catch(ignored('docker', 'remove the unfinished deployment marker'))
