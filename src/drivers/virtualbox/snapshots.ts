import { readFile } from 'node:fs/promises'
import { UserError } from '../../errors.ts'
import type { Call, Snapshot, Snapshots } from '../driver.ts'
import { parseFields } from './parse-output.ts'
import { stateOf } from './machine.ts'
import { requireOwnId } from './own-machine.ts'
import type { Env } from './paths.ts'
import { killMachine, requireMachine, startMachine } from './power.ts'
import type { VBoxManage } from './vboxmanage.ts'

interface FoundSnapshot extends Snapshot {
  readonly id: string
}

/**
 * Parses snapshots from the machine's settings file, because VBoxManage reports neither their time
 * nor whether they contain memory.
 */
export function readSnapshots(names: string, settings: string): readonly FoundSnapshot[] {
  const fields = parseFields(names)
  const existing = [...fields].flatMap(([key, name]) => {
    const [, place] = /^SnapshotName(.*)$/.exec(key) ?? []
    const id = place === undefined ? undefined : fields.get(`SnapshotUUID${place}`)
    if (id === undefined) return []
    const tag =
      new RegExp(`<Snapshot\\b[^>]*uuid="\\{${id}\\}"[^>]*>`, 'i').exec(settings)?.[0] ?? ''
    const created = /\btimeStamp="([^"]+)"/.exec(tag)?.[1] ?? ''
    return [{ id, name, created, isRunning: /\bstateFile="[^"]/.test(tag) }]
  })
  return existing.toSorted((a, b) => a.created.localeCompare(b.created))
}

async function list(vbox: VBoxManage, id: string, call: Call): Promise<readonly FoundSnapshot[]> {
  const machine = await requireMachine(vbox, id, call)
  if (machine.fields.get('SnapshotName') === undefined) return []
  const names = await vbox.run(['snapshot', id, 'list', '--machinereadable'], call)
  return readSnapshots(names, await readFile(machine.settings, 'utf8'))
}

async function requireSnapshot(
  vbox: VBoxManage,
  id: string,
  snapshot: string,
  call: Call,
): Promise<FoundSnapshot> {
  const existing = await list(vbox, id, call)
  const found = existing.find(({ name }) => name === snapshot)
  if (found !== undefined) return found
  const names = existing.map(({ name }) => name).join(', ')
  throw new UserError('usage', `there is no snapshot ${snapshot}`, {
    hint: names === '' ? 'the machine has no snapshots' : `snapshots: ${names}`,
  })
}

/** Returns the driver's snapshot methods. */
export const snapshotsOf = (env: Env): Snapshots => ({
  async save(host, snapshot, call) {
    const { vbox } = env
    const id = await requireOwnId(env, host, call)
    const existing = await list(vbox, id, call)
    if (existing.some(({ name }) => name === snapshot)) {
      throw new UserError('usage', `snapshot ${snapshot} already exists`, {
        hint: 'use another name, or remove the snapshot: fleet snapshot rm',
      })
    }
    const { state } = await requireMachine(vbox, id, call)
    const live = stateOf(state) === 'running' ? ['--live'] : []
    await vbox.run(['snapshot', id, 'take', snapshot, ...live], call)
  },
  async restore(host, snapshot, call) {
    const { vbox } = env
    const id = await requireOwnId(env, host, call)
    const existing = await requireSnapshot(vbox, id, snapshot, call)
    await killMachine(vbox, id, call)
    await vbox.run(['snapshot', id, 'restore', existing.id], call)
    if (existing.isRunning) await startMachine(vbox, id, call)
  },
  async list(host, call) {
    const existing = await list(env.vbox, await requireOwnId(env, host, call), call)
    return existing.map(({ name, created, isRunning }) => ({ name, created, isRunning }))
  },
  async remove(host, snapshot, call) {
    const { vbox } = env
    const id = await requireOwnId(env, host, call)
    await vbox.run(
      ['snapshot', id, 'delete', (await requireSnapshot(vbox, id, snapshot, call)).id],
      call,
    )
  },
})
