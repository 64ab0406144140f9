import type { Call } from '../driver.ts'
import type { VBoxManage } from './vboxmanage.ts'

/**
 * The network that fleet creates if there is none, in the range that VirtualBox allows by default.
 */
const network = {
  name: 'fleet',
  host: '192.168.56.1',
  dhcp: '192.168.56.2',
  mask: '255.255.255.0',
  lower: '192.168.56.101',
  upper: '192.168.56.254',
}

/** Whether VirtualBox has host-only networks instead of interfaces, as it does on macOS since version 7.0. */
export const hasNetworks = (platform: NodeJS.Platform, major: number): boolean =>
  platform === 'darwin' && major >= 7

/** Returns the command that creates the host-only network. */
export const networkCommands = (): readonly string[][] => [
  [
    ...['hostonlynet', 'add', `--name=${network.name}`, `--netmask=${network.mask}`],
    ...[`--lower-ip=${network.lower}`, `--upper-ip=${network.upper}`, '--enable'],
  ],
]

/** Returns the commands that configure a new interface and its DHCP server. */
export const interfaceCommands = (name: string): readonly string[][] => [
  ['hostonlyif', 'ipconfig', name, `--ip=${network.host}`, `--netmask=${network.mask}`],
  [
    ...['dhcpserver', 'add', `--interface=${name}`, `--server-ip=${network.dhcp}`],
    ...[`--netmask=${network.mask}`, `--lower-ip=${network.lower}`],
    ...[`--upper-ip=${network.upper}`, '--enable'],
  ],
]

/** Returns the first name in the output of `list hostonlyifs` or `list hostonlynets`. */
export const firstName = (text: string): string | undefined => /^Name: +(.+?)\r?$/m.exec(text)?.[1]

async function findOrCreateInterface(vbox: VBoxManage, call: Call): Promise<string> {
  const known = firstName(await vbox.run(['list', 'hostonlyifs'], call))
  if (known !== undefined) return known
  call.progress('create the host-only network')
  const made = await vbox.run(['hostonlyif', 'create'], call)
  const name = /Interface '(.+?)' was successfully created/.exec(made)?.[1]
  if (name === undefined) throw new TypeError(`unexpected output from hostonlyif create: ${made}`)
  const [address = [], dhcp = []] = interfaceCommands(name)
  await vbox.run(address, call)
  // On Windows, a DHCP server is created together with the interface.
  await vbox.run(dhcp, call).catch((error: unknown) => {
    if (!String(error).includes('already exists')) throw error
  })
  return name
}

/** Returns `modifyvm` options for a second network card in a host-only network, which is created if there is none. */
export async function hostOnlyAdapter(
  vbox: VBoxManage,
  call: Call,
  platform: NodeJS.Platform = process.platform,
): Promise<readonly string[]> {
  const { major } = await vbox.program()
  const adapterType = ['--nictype2', 'virtio']
  if (!hasNetworks(platform, major)) {
    const name = await findOrCreateInterface(vbox, call)
    return ['--nic2', 'hostonly', '--hostonlyadapter2', name, ...adapterType]
  }
  const known = firstName(await vbox.run(['list', 'hostonlynets'], call))
  if (known === undefined) {
    for (const words of networkCommands()) await vbox.run(words, call)
  }
  return ['--nic2', 'hostonlynet', '--host-only-net2', known ?? network.name, ...adapterType]
}

/** Returns the MAC address of a machine's network card, without colons. */
export const macAddressOf = (token: string, adapter: number): string => {
  const digits = token.replaceAll('-', '').slice(0, 5)
  // VirtualBox's prefix (OUI 08:00:27).
  return `080027${digits}${adapter}`
}

/** Formats `080027ABCDEF` as `08:00:27:ab:cd:ef`. */
export const withColons = (mac: string): string => mac.toLowerCase().replaceAll(/..(?!$)/g, '$&:')
