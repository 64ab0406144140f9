import { UserError } from '../../../errors.ts'
import { isTrueAt, listAt, readJsonFile, textAt, valueAt } from '../imported-host.ts'

/** An object that Terraform manages: one instance of a resource. */
export interface TerraformObject {
  readonly type: string
  /** The name of the resource, followed by the instance key if there is one: `web`, `web-0`. */
  readonly name: string
  /** The name, prefixed with the names of the modules: `shop-web-0`. */
  readonly path: string
  /** The address, in Terraform's syntax: `module.shop.aws_instance.web[0]`. */
  readonly address: string
  readonly attributes: unknown
}

const keyOf = (value: unknown): string | number | undefined =>
  typeof value === 'string' || typeof value === 'number' ? value : undefined

function objectFrom(
  module: string,
  { type, name, index }: { readonly type: string; readonly name: string; readonly index: unknown },
  attributes: unknown,
): TerraformObject {
  const key = keyOf(index)
  const keyed = key === undefined ? name : `${name}-${key}`
  const modules = module.replaceAll(/(?:^|\.)module\./g, '-').replaceAll(/[[\]"]/g, '-')
  const bracket = key === undefined ? '' : `[${JSON.stringify(key)}]`
  return {
    ...{ type, attributes, name: keyed },
    path: module === '' ? keyed : `${modules.replace(/^-/, '')}-${keyed}`,
    address: `${module === '' ? '' : `${module}.`}${type}.${name}${bracket}`,
  }
}

/** The objects in a state file (version 4), without deposed ones, which Terraform is going to destroy. */
const objectsOfState = (state: unknown): readonly TerraformObject[] =>
  listAt(state, 'resources')
    .filter((resource) => textAt(resource, 'mode') === 'managed')
    .flatMap((resource) => {
      const [type = '', name = ''] = [textAt(resource, 'type'), textAt(resource, 'name')]
      const module = textAt(resource, 'module') ?? ''
      return listAt(resource, 'instances')
        .filter((instance) => valueAt(instance, 'deposed') === undefined)
        .map((instance) => {
          const index = valueAt(instance, 'index_key')
          return objectFrom(module, { type, name, index }, valueAt(instance, 'attributes'))
        })
    })

/** The objects of a module and its child modules in the output of `terraform show -json`. */
const objectsOfModule = (module: unknown): readonly TerraformObject[] => [
  ...listAt(module, 'resources')
    .filter((resource) => textAt(resource, 'mode') === 'managed')
    .filter((resource) => valueAt(resource, 'deposed_key') === undefined)
    .map((resource) => {
      const [type = '', name = ''] = [textAt(resource, 'type'), textAt(resource, 'name')]
      const index = valueAt(resource, 'index')
      const path = textAt(module, 'address') ?? ''
      return objectFrom(path, { type, name, index }, valueAt(resource, 'values'))
    }),
  ...listAt(module, 'child_modules').flatMap(objectsOfModule),
]

/** The error for a file that does not contain a readable state, with the next step. */
function unreadable(file: string, state: unknown): UserError {
  const refuse = (message: string, hint: string) =>
    new UserError('usage', `${file} ${message}`, { hint })
  if (valueAt(state, 'encrypted_data') !== undefined) {
    return refuse(
      'is an encrypted OpenTofu state file',
      'decrypt the state with OpenTofu: tofu show -json > state.json, then import state.json',
    )
  }
  if (valueAt(state, 'backend') !== undefined) {
    return refuse(
      'contains only the backend configuration, not the state',
      'import the state itself; to get it: terraform state pull > state.json',
    )
  }
  const version = valueAt(state, 'version')
  if (typeof version === 'number') {
    const writer = version < 4 ? 'Terraform 0.11 or earlier' : 'a newer version of Terraform'
    return refuse(
      `is a version ${version} Terraform state file (written by ${writer}), but fleet supports only version 4`,
      version < 4
        ? 'upgrade the state to version 4 with Terraform 0.15.4 or later: terraform apply -refresh-only'
        : 'import the output of this command: terraform show -json',
    )
  }
  return refuse(
    'is not a Terraform state file',
    'import a terraform.tfstate file, or the output of terraform state pull or terraform show -json',
  )
}

/**
 * Reads the managed objects of a Terraform or OpenTofu state: a state file of version 4, or the output of `terraform
 * show -json` (format_version 0 or 1). Throws kind `usage` for everything else, with a hint about how to get a readable
 * state.
 */
export async function readTerraformObjects(file: string): Promise<readonly TerraformObject[]> {
  const state = await readJsonFile(file)
  if (valueAt(state, 'version') === 4 && !isTrueAt(state, 'encrypted_data')) {
    if (Array.isArray(valueAt(state, 'resources'))) return objectsOfState(state)
  }
  if (/^[01]\./.test(textAt(state, 'format_version') ?? '')) {
    return objectsOfModule(valueAt(state, 'values', 'root_module'))
  }
  throw unreadable(file, state)
}
