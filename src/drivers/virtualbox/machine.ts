import type { HostStatus } from '../../machine/machine.ts'
import type { Call } from '../driver.ts'
import { parseExtraData, parseFields } from './parse-output.ts'
import type { SharedFolder } from '../local-hosts.ts'
import { type VBoxManage, ignoreMissing } from './vboxmanage.ts'

/** A virtual machine with its current properties. */
export interface VirtualMachine {
  readonly id: string
  /** Name in VirtualBox, which users can change. */
  readonly name: string
  /** VirtualBox's state, such as `running`, `poweroff` or `aborted-saved`. */
  readonly state: string
  /** Path of the settings file. */
  readonly settings: string
  readonly fields: ReadonlyMap<string, string>
}

/** Returns the machine with this ID, if it exists. */
export async function findVm(
  vbox: VBoxManage,
  id: string,
  call: Call,
): Promise<VirtualMachine | undefined> {
  const text = await ignoreMissing(vbox.run(['showvminfo', id, '--machinereadable'], call))
  if (text === undefined) return undefined
  const fields = parseFields(text)
  const read = (key: string): string => fields.get(key) ?? ''
  return { id, name: read('name'), state: read('VMState'), settings: read('CfgFile'), fields }
}

/** Reads a machine's extra data, which includes its tags. */
export const readExtraData = async (
  vbox: VBoxManage,
  id: string,
  call: Call,
): Promise<Readonly<Record<string, string>>> =>
  parseExtraData((await ignoreMissing(vbox.run(['getextradata', id, 'enumerate'], call))) ?? '')

/** Extra data key that marks a machine whose creation is complete. */
export const completeMarker = 'fleet:whole'

const states: Readonly<Record<string, HostStatus['state']>> = {
  poweroff: 'stopped',
  saved: 'stopped',
  aborted: 'stopped',
  'aborted-saved': 'stopped',
  running: 'running',
  livesnapshotting: 'running',
  onlinesnapshotting: 'running',
  deletingsnapshotlive: 'running',
  paused: 'paused',
  deletingsnapshotlivepaused: 'paused',
  starting: 'starting',
  restoring: 'starting',
  stopping: 'stopping',
  saving: 'stopping',
}

/** Converts VirtualBox's state to a host state. */
export const stateOf = (word: string): HostStatus['state'] => states[word] ?? 'unknown'

/** Returns a machine's shared folders. */
export const sharesOf = (fields: ReadonlyMap<string, string>): readonly SharedFolder[] =>
  [...fields].flatMap(([key, name]) => {
    const [, number] = /^SharedFolderNameMachineMapping(\d+)$/.exec(key) ?? []
    const path = fields.get(`SharedFolderPathMachineMapping${number}`)
    return number === undefined || path === undefined ? [] : [{ name, path }]
  })
