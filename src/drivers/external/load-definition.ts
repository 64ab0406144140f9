import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { resolve } from 'import-meta-resolve'
import { UserError, messageOf } from '../../errors.ts'
import { type Driver, type DriverDefinition, contractVersion } from '../driver.ts'
import { optionFlags } from '../options/option-flags.ts'
import type { DriverPackage } from './find-package.ts'
import { guardDriver } from './guard-driver.ts'

/** Returns a package's name, version and directory, for messages. */
async function describePackage({ name, folder }: DriverPackage): Promise<string> {
  const text = await readFile(join(folder, 'package.json'), 'utf8')
  const version = /"version"\s*:\s*"([^"]+)"/.exec(text)?.[1]
  return `${name}${version === undefined ? '' : ` ${version}`} (${folder})`
}

async function importDefault(name: string, holder: string): Promise<unknown> {
  const from = pathToFileURL(join(holder, 'machines.yaml')).href
  const module = (await import(resolve(name, from))) as { readonly default?: unknown }
  return module.default
}

/** The properties that a schema has in every copy of zod 4. */
interface ZodSchema {
  readonly def?: { readonly type?: unknown; readonly catchall?: ZodSchema }
  readonly partial?: unknown
}

/** Explains why `options` is not a valid schema; returns `undefined` if it is. */
function schemaProblem(options: unknown): string | undefined {
  const { def, partial } = (options ?? {}) as ZodSchema
  const isStrictObject = def?.type === 'object' && def.catchall?.def?.type === 'never'
  return isStrictObject && typeof partial === 'function'
    ? undefined
    : 'its options are not a z.strictObject from zod 4'
}

/**
 * Explains why `definition` is not a valid definition of the driver `name`; returns `undefined` if it is valid. Does
 * not check the contract version.
 */
function definitionProblem(
  name: string,
  definition: Partial<DriverDefinition>,
): string | undefined {
  if (definition.name !== name) return `its driver is named ${JSON.stringify(definition.name)}`
  if (typeof definition.summary !== 'string') return 'its driver has no summary'
  if (typeof definition.load !== 'function') return 'its driver has no load() function'
  const problem = schemaProblem(definition.options)
  if (problem !== undefined) return problem
  try {
    optionFlags(definition as DriverDefinition)
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

function contractError(label: string, { contract }: { contract: number }): UserError {
  const message = `${label} was written for driver contract version ${contract}, but this version of fleet supports version ${contractVersion}`
  return new UserError('unsupported', message, {
    hint: contract > contractVersion ? 'upgrade fleet' : 'install a newer version of the package',
  })
}

function brokenError(label: string, reason: string, cause?: unknown): UserError {
  return new UserError('failed', `${label} cannot be used: ${reason}`, {
    hint: 'reinstall the package, install another version, or report the problem to the package author',
    cause,
  })
}

/**
 * Imports the definition from the package in the node_modules of `holder`; importing it runs the package's code. Throws
 * kind `unsupported` if the driver was written for another version of the contract, and `failed` if it cannot be loaded
 * or is not the driver `name`.
 */
export async function loadDefinition(
  name: string,
  driverPackage: DriverPackage,
  holder: string,
): Promise<DriverDefinition> {
  const label = await describePackage(driverPackage)
  const exported = await importDefault(driverPackage.name, holder).catch((error: unknown) => {
    throw brokenError(label, messageOf(error), error)
  })
  const definition = (exported ?? {}) as Partial<DriverDefinition>
  const { contract } = definition
  if (typeof contract !== 'number' || !Number.isInteger(contract)) {
    throw brokenError(label, 'its default export is not a driver with a contract version')
  }
  if (contract !== contractVersion) throw contractError(label, { contract })
  const problem = definitionProblem(name, definition)
  if (problem !== undefined) throw brokenError(label, problem)
  const checked = definition as DriverDefinition
  return { ...checked, load: (...args) => loadDriver(checked, label, args) }
}

async function loadDriver(
  definition: DriverDefinition,
  label: string,
  args: Parameters<DriverDefinition['load']>,
): Promise<Driver> {
  const load = async (): Promise<Driver> => definition.load(...args)
  const driver = await load().catch((error: unknown) => {
    throw error instanceof UserError ? error : brokenError(label, messageOf(error), error)
  })
  if (typeof driver?.observe === 'function') return guardDriver(driver, label)
  throw brokenError(label, 'load() did not return a driver')
}
