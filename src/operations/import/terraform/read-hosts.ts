import { type ImportedHosts, type ReadHost, type SkippedHost, nameHosts } from '../imported-host.ts'
import { awsHost, isTerminated } from './aws.ts'
import { azureHost } from './azure.ts'
import { type ProviderHost, firstText, resourceKinds, unknownKindReason } from './resource-kinds.ts'
import { type TerraformObject, readTerraformObjects } from './state.ts'

const awsTypes = new Set(['aws_instance', 'aws_spot_instance_request'])
const azureTypes = new Set(['azurerm_linux_virtual_machine', 'azurerm_virtual_machine'])

/** Converts an object to a host, or to the reason why it is skipped; undefined if the object is not a host. */
function readObject(
  object: TerraformObject,
  objects: readonly TerraformObject[],
): ReadHost | SkippedHost | undefined {
  const { type, address: title, attributes } = object
  const read = (name: string | undefined, found: ProviderHost, user?: string) => {
    const { address, known } = found
    if (address === undefined && known === undefined) {
      return { title, reason: "the state does not contain the host's address" }
    }
    return {
      titles: [name ?? object.name, object.name, object.path],
      host: {
        ...(address !== undefined && { address }),
        ...(user !== undefined && { user }),
        ...(known && { known }),
      },
    }
  }
  if (awsTypes.has(type)) {
    if (isTerminated(attributes)) return { title, reason: 'the instance is terminated' }
    return read(
      firstText(attributes, [
        ['tags', 'Name'],
        ['tags_all', 'Name'],
      ]),
      awsHost(attributes, objects),
    )
  }
  if (azureTypes.has(type)) {
    const user = firstText(attributes, [['admin_username'], ['os_profile', 0, 'admin_username']])
    return read(firstText(attributes, [['name']]), azureHost(attributes, objects), user)
  }
  const kind = resourceKinds[type]
  if (kind === undefined) {
    const reason = unknownKindReason(type)
    return reason === undefined ? undefined : { title, reason }
  }
  const address = firstText(attributes, kind.addresses)
  const user = firstText(attributes, kind.users)
  return read(firstText(attributes, kind.names), { address, known: undefined }, user)
}

/**
 * Reads the hosts from a state of Terraform or OpenTofu. The hosts continue to be managed by Terraform. Throws as
 * {@link readTerraformObjects} does.
 */
export async function readTerraformState(file: string): Promise<ImportedHosts> {
  const objects = await readTerraformObjects(file)
  const read = objects.map((object) => readObject(object, objects))
  return nameHosts(read.filter((one) => one !== undefined))
}
