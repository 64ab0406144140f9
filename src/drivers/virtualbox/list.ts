import type { Call, FleetScope, FoundHost } from '../driver.ts'
import { parseIds } from './parse-output.ts'
import { findVm, readExtraData } from './machine.ts'
import type { Env } from './paths.ts'
import { type MachineTags, readAllMetadata } from './own-machine.ts'

/** Describes the existing parts of a machine. */
async function describeParts({ vbox }: Env, token: string, call: Call): Promise<readonly string[]> {
  const machine = await findVm(vbox, token, call)
  return machine === undefined
    ? ['files from a partly created machine']
    : [`machine ${machine.name} (${machine.state})`]
}

/** Lists the machines of a fleet on this computer, according to their metadata files and their tags in VirtualBox. */
export async function listMachines(
  env: Env,
  { id: fleet }: FleetScope,
  call: Call,
): Promise<readonly FoundHost[]> {
  const { vbox, paths } = env
  const notes = new Map<string, MachineTags>(await readAllMetadata(paths))
  for (const id of parseIds(await vbox.run(['list', 'vms'], call))) {
    if (!notes.has(id)) notes.set(id, await readExtraData(vbox, id, call))
  }
  const found: FoundHost[] = []
  for (const [token, tags] of notes) {
    if (tags['fleet:id'] !== fleet) continue
    found.push({
      token,
      machine: tags['fleet:machine'] ?? '',
      record: { phase: 'ready', token, id: token },
      parts: await describeParts(env, token, call),
      tags,
    })
  }
  return found
}
