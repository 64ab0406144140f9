import { UserError } from '../../errors.ts'
import type { Call, HostFacts, ExistingHost } from '../driver.ts'
import { currentComputer } from '../local-hosts.ts'
import { type VirtualMachine, findVm } from './machine.ts'
import { type VirtualBoxOptions, virtualBoxOptions } from './options.ts'
import { forwardedSshPort } from './port-forwarding.ts'
import { type VBoxManage, ignoreMissing } from './vboxmanage.ts'
import { shellQuote } from '../../os/shell-quote.ts'

type SshEndpoint = Pick<HostFacts, 'address' | 'port'>
type Fields = VirtualMachine['fields']

/** Maximum number of network cards of a machine: 8, or 36 with the ICH9 chipset. */
const maxAdapters = 36

/** Returns the MAC addresses, in upper case, of network cards that this computer can connect to directly. */
function reachableAdapters(fields: Fields): ReadonlySet<string> {
  const addresses = [...fields].flatMap(([key, kind]) => {
    const index = /^nic(\d+)$/.exec(key)?.[1]
    const isReachable = /^(?:hostonly|bridged)/.test(kind)
    return index === undefined || !isReachable ? [] : [fields.get(`macaddress${index}`) ?? '']
  })
  return new Set(addresses.map((mac) => mac.toUpperCase()))
}

/** Finds an address reported by the Guest Additions in the machine. */
async function findGuestAddress(
  vbox: VBoxManage,
  { id, fields }: VirtualMachine,
  call: Call,
): Promise<SshEndpoint | undefined> {
  const addresses = reachableAdapters(fields)
  const read = async (key: string): Promise<string | undefined> => {
    const words = ['guestproperty', 'get', id, `/VirtualBox/GuestInfo/Net/${key}`]
    return /^Value: (\S+)\r?$/m.exec((await ignoreMissing(vbox.run(words, call))) ?? '')?.[1]
  }
  for (let index = 0; addresses.size > 0 && index < maxAdapters; index += 1) {
    const mac = await read(`${index}/MAC`)
    if (mac === undefined) return undefined
    const address = addresses.has(mac.toUpperCase()) ? await read(`${index}/V4/IP`) : undefined
    if (address !== undefined) return { address }
  }
  return undefined
}

/** See `Driver.describeExisting`. Finds a machine by its ID or by its name in VirtualBox. */
export async function describeExistingMachine(
  vbox: VBoxManage,
  id: string,
  options: Partial<VirtualBoxOptions>,
  call: Call,
): Promise<ExistingHost> {
  const found = await findVm(vbox, id, call)
  if (found === undefined) {
    throw new UserError('usage', `there is no machine ${id} in VirtualBox on this computer`, {
      hint: 'to list the machines: VBoxManage list vms',
    })
  }
  const machine = { ...found, id: found.fields.get('UUID') ?? id }
  const endpoint = forwardedSshPort(machine.fields) ?? (await findGuestAddress(vbox, machine, call))
  if (endpoint === undefined) {
    throw new UserError(
      'usage',
      `the SSH address of ${machine.name} is unknown (state: ${machine.state})`,
      {
        hint: `forward a port to the machine's SSH server: VBoxManage modifyvm ${shellQuote(machine.id)} --natpf1 ssh,tcp,127.0.0.1,2222,,22 (if the machine is running: VBoxManage controlvm ${shellQuote(machine.id)} natpf1 …)`,
      },
    )
  }
  const { user = virtualBoxOptions.shape.user.parse(undefined) } = options
  return { id: machine.id, ...endpoint, user, resources: currentComputer() }
}
