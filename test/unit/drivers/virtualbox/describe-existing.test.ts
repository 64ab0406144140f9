import { expect, test } from 'vitest'
import { describeExistingMachine } from '../../../../src/drivers/virtualbox/describe-existing.ts'
import { VBoxError } from '../../../../src/drivers/virtualbox/vboxmanage.ts'

const id = '9e49abb7-92f4-45ff-b80e-54e5ea333e5f'
const call = { signal: new AbortController().signal, progress: () => {} }

/** Returns a fake VBoxManage with a single machine, "dev box", that has these fields and guest properties. */
const virtualBoxWith = (
  lines: readonly string[],
  guest: Readonly<Record<string, string>> = {},
) => ({
  program: () => Promise.reject(new Error('nobody asks')),
  async run([verb = '', ...words]: readonly string[]): Promise<string> {
    if (verb === 'guestproperty') {
      const value = guest[words.at(-1)?.replace('/VirtualBox/GuestInfo/Net/', '') ?? '']
      return value === undefined ? 'No value set!\n' : `Value: ${value}\n`
    }
    if (words[0] !== id && words[0] !== 'dev box') {
      throw new VBoxError(
        [verb],
        `VBoxManage: error: Could not find a registered machine named '${words[0]}'\nVBoxManage: error: Details: code VBOX_E_OBJECT_NOT_FOUND (0x80bb0001), component VirtualBoxWrap, interface IVirtualBox\n`,
      )
    }
    return [
      ...['name="dev box"', `UUID="${id}"`, 'CfgFile="/v/dev box.vbox"'],
      ...[...lines, 'VMState="running"', ''],
    ].join('\n')
  },
})

const hostOnly = [
  ...['nic1="nat"', 'macaddress1="08002796B7F6"', 'hostonlyadapter2="vboxnet0"'],
  ...['macaddress2="0800275C2A0E"', 'nic2="hostonly"', 'nic3="none"'],
]
const guestSays = {
  '0/MAC': '08002796B7F6',
  '0/V4/IP': '10.0.2.15',
  '1/MAC': '0800275C2A0E',
  '1/V4/IP': '192.168.56.101',
}

test.each([
  [['Forwarding(0)="docker,tcp,127.0.0.1,2376,,2376"', 'Forwarding(1)="ssh,tcp,,2222,,22"'], 2222],
  [['Forwarding(0)="ssh,udp,,2221,,22"', 'Forwarding(1)="x,tcp,0.0.0.0,2223,10.0.2.15,22"'], 2223],
])(
  'for an existing machine with %j, connects to port %i, which is forwarded to its SSH server',
  async (lines, port) => {
    const recalled = await describeExistingMachine(
      virtualBoxWith(lines),
      'dev box',
      { user: 'ana' },
      call,
    )
    expect(recalled).toMatchObject({ id, address: '127.0.0.1', port, user: 'ana' })
  },
)

test("connects to the guest's address on a host-only network if no port is forwarded", async () => {
  const recalled = await describeExistingMachine(virtualBoxWith(hostOnly, guestSays), id, {}, call)
  expect(recalled).toMatchObject({ id, address: '192.168.56.101', user: 'fleet' })
  expect(recalled.resources).toHaveProperty('computer')
})

test.each([
  ['the guest does not report its address', hostOnly, {}],
  ['its only network is NAT', ['nic1="nat"', 'macaddress1="08002796B7F6"'], guestSays],
])('reports how to forward a port if %s', async (_, lines, guest) => {
  await expect(
    describeExistingMachine(virtualBoxWith(lines, guest), 'dev box', {}, call),
  ).rejects.toMatchObject({
    kind: 'usage',
    message: 'the SSH address of dev box is unknown (state: running)',
    hint: expect.stringContaining(`VBoxManage modifyvm ${id} --natpf1 ssh,tcp`) as string,
  })
})

test('reports a machine that does not exist in VirtualBox', async () => {
  await expect(describeExistingMachine(virtualBoxWith([]), 'prod', {}, call)).rejects.toMatchObject(
    {
      kind: 'usage',
      message: 'there is no machine prod in VirtualBox on this computer',
    },
  )
})
