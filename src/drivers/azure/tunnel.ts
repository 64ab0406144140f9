import { UserError } from '../../errors.ts'
import type { HostRecord } from '../../machine/machine.ts'
import type { Tunnel } from '../driver.ts'

/** How to install the programs required for connections through a Bastion. */
export const install = {
  az: 'install the Azure CLI: https://learn.microsoft.com/cli/azure/install-azure-cli',
  extension: 'install the Azure CLI bastion extension: az extension add --name bastion',
}

const login = 'log in: az login'

/** Hints for messages from the Azure CLI and its extension `bastion`. */
const hints: Tunnel['hints'] = [
  { text: 'requires the extension bastion', hint: install.extension, isPermanent: true },
  { text: 'is misspelled or not recognized', hint: install.extension, isPermanent: true },
  { text: 'az login', hint: login, isPermanent: true },
  { text: 'AADSTS', hint: login, isPermanent: true },
  {
    text: 'AuthorizationFailed',
    hint: 'you need the Reader role on the Bastion, on the virtual machine, and on its network interface',
    isPermanent: true,
  },
  {
    text: 'ResourceNotFound',
    hint: 'check that the Bastion still exists: az network bastion list --output table',
    isPermanent: true,
  },
  {
    text: 'Native Client must be enabled',
    hint: 'run: az network bastion update --name NAME --resource-group GROUP --sku Standard --enable-tunneling true',
    isPermanent: true,
  },
  {
    text: '',
    hint: "check that the host is running and is in the Bastion's network or a peered network, and that its security groups allow SSH from the AzureBastionSubnet subnet",
  },
]

const invalid = (what: string, value: string): UserError =>
  new UserError(
    'inventory',
    `invalid ${what} under "host:" in the inventory: ${JSON.stringify(value)}`,
    {
      hint: 'check who last changed the inventory: git log -p machines.yaml',
    },
  )

const namePart = String.raw`[\p{L}\p{N}_(][\p{L}\p{N}_().-]{0,89}`

const idPattern = (type: string): RegExp =>
  new RegExp(
    `^/subscriptions/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/resourceGroups/(${namePart})/providers/${type.replaceAll('.', String.raw`\.`)}/(${namePart})$`,
    'iu',
  )

const bastionPattern = idPattern('Microsoft.Network/bastionHosts')
const machinePattern = idPattern('Microsoft.Compute/virtualMachines')

/**
 * Returns the program that tunnels connections to a virtual machine (`az network bastion tunnel`, according to the
 * source of the extension `bastion`); `undefined` if fleet connects directly to the machine's address. Throws kind
 * `inventory` for a record that fleet did not write.
 */
export function openTunnel({ id = '', port = 22, resources = {} }: HostRecord): Tunnel | undefined {
  const { reach = 'direct', bastion = '' } = resources
  if (reach === 'direct') return undefined
  if (reach !== 'bastion') throw invalid('"reach"', reach)
  if (!machinePattern.test(id)) throw invalid('virtual machine ID', id)
  const [, subscription, group, name] = bastionPattern.exec(bastion) ?? []
  if (subscription === undefined) throw invalid('Bastion ID', bastion)
  return {
    argv: [
      ...['az', 'network', 'bastion', 'tunnel', `--name=${name}`, `--resource-group=${group}`],
      ...[`--subscription=${subscription}`, `--target-resource-id=${id}`],
      ...[`--resource-port=${port}`, '--port=0'],
    ],
    install: install.az,
    hints,
    env: { AZURE_CORE_ONLY_SHOW_ERRORS: 'no' }, // the CLI prints the port in a message that is not an error
    listens: {
      portAfter: 'Tunnel is ready, connect on port ',
      messages: ['Opening tunnel on port', 'Tunnel is ready', 'Ctrl + C to close'],
    },
  }
}
