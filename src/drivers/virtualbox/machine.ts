import type { HostStatus } from '../../machine/status.ts'
import type { Call } from '../driver.ts'
import { parseExtraData, parseFields } from './parse-output.ts'
import type { SharedFolder } from '../shared-folders.ts'
import { type VBoxManage, orMissing } from './vboxmanage.ts'

/** A virtual machine as VirtualBox describes it now. */
export interface VirtualMachine {
  readonly id: string
  /** As it is called in VirtualBox, where people may rename it. */
  readonly name: string
  /** VirtualBox's word: `running`, `poweroff`, `aborted-saved`. */
  readonly state: string
  /** The file of its settings. */
  readonly settings: string
  readonly fields: ReadonlyMap<string, string>
}

/** The machine with this id; nothing where there is none. */
export async function findVm(
  vbox: VBoxManage,
  id: string,
  call: Call,
): Promise<VirtualMachine | undefined> {
  const text = await orMissing(vbox.run(['showvminfo', id, '--machinereadable'], call))
  if (text === undefined) return undefined
  const fields = parseFields(text)
  const read = (key: string): string => fields.get(key) ?? ''
  return { id, name: read('name'), state: read('VMState'), settings: read('CfgFile'), fields }
}

/** The tags of a machine, and what else people keep with it. */
export const readExtraData = async (
  vbox: VBoxManage,
  id: string,
  call: Call,
): Promise<Readonly<Record<string, string>>> =>
  parseExtraData((await orMissing(vbox.run(['getextradata', id, 'enumerate'], call))) ?? '')

/** Says of a machine that all of it is made. */
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

/** VirtualBox's word for a state in fleet's. */
export const stateOf = (word: string): HostStatus['state'] => states[word] ?? 'unknown'

/** The folders of this computer that a machine sees. */
export const sharesOf = (fields: ReadonlyMap<string, string>): readonly SharedFolder[] =>
  [...fields].flatMap(([key, name]) => {
    const [, number] = /^SharedFolderNameMachineMapping(\d+)$/.exec(key) ?? []
    const path = fields.get(`SharedFolderPathMachineMapping${number}`)
    return number === undefined || path === undefined ? [] : [{ name, path }]
  })
