import { access, readdir } from 'node:fs/promises'
import { basename, join, win32 } from 'node:path'
import { UserError, codeOf, fileProblemOf } from '../../errors.ts'
import type { HostId } from '../adopt/adopt-known-host.ts'
import {
  type ImportedHosts,
  type ReadHost,
  type SkippedHost,
  isTrueAt,
  machineNameFrom,
  nameHosts,
  portOf,
  readJsonFile,
  textAt,
  valueAt,
} from './imported-host.ts'
import { type Environment, homeOf } from '../../os/environment.ts'

/** The default login users of Docker Machine's drivers. Drivers that are not listed use root. */
const defaultUsers: Readonly<Record<string, string>> = {
  amazonec2: 'ubuntu',
  azure: 'docker-user',
  virtualbox: 'docker',
  vmwarefusion: 'docker',
  hyperv: 'docker',
  google: 'docker-user',
}

/** The newest version of Docker Machine's configuration format (libmachine/version). */
const newestVersion = 3

const exists = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  )

/**
 * Finds the private key of a machine. Searches the machine's directory first, since the configured path may belong to
 * another computer.
 */
async function findKey(folder: string, driver: unknown): Promise<string | undefined> {
  const configured = textAt(driver, 'SSHKeyPath') ?? textAt(driver, 'SSHKey')
  const names =
    configured === undefined ? ['id_rsa'] : [basename(win32.basename(configured)), 'id_rsa']
  const files = [
    ...names.map((name) => join(folder, name)),
    ...(configured === undefined ? [] : [configured]),
  ]
  for (const file of files) if (await exists(file)) return file
  return undefined
}

/** fleet's names for the Azure clouds, keyed by Docker Machine's names for them. */
const azureClouds: Readonly<Record<string, string>> = {
  AzureChinaCloud: 'china',
  AzureUSGovernmentCloud: 'usgov',
}

/**
 * A machine's driver and its ID at the provider; undefined if fleet has no driver for the provider, or if the ID is
 * unknown.
 */
function findId(driverName: string, driver: unknown): HostId | undefined {
  const name = textAt(driver, 'MachineName')
  if (driverName === 'amazonec2') {
    const [id, region] = [textAt(driver, 'InstanceId'), textAt(driver, 'Region')]
    const privateOnly = isTrueAt(driver, 'PrivateIPOnly') || isTrueAt(driver, 'UsePrivateIP')
    if (id === undefined || region === undefined) return undefined
    return { driver: 'aws', id, options: { region, ...(privateOnly && { privateOnly }) } }
  }
  if (driverName === 'azure') {
    const group = textAt(driver, 'ResourceGroup')
    const subscription = textAt(driver, 'SubscriptionID')
    const cloud = azureClouds[textAt(driver, 'Environment') ?? '']
    const privateOnly = isTrueAt(driver, 'UsePrivateIP') || isTrueAt(driver, 'NoPublicIP')
    if (group === undefined || name === undefined) return undefined
    return {
      driver: 'azure',
      id: `${group}/${name}`,
      options: {
        ...(subscription !== undefined && { subscription }),
        ...(cloud !== undefined && { cloud }),
        ...(privateOnly && { privateOnly }),
      },
    }
  }
  if (driverName !== 'virtualbox' || name === undefined) return undefined
  return { driver: 'virtualbox', id: name, options: {} }
}

/** The address of the host. VirtualBox hosts can be reached only through a forwarded port on this computer. */
function addressOf(driverName: string, driver: unknown): string | undefined {
  if (driverName !== 'virtualbox') return textAt(driver, 'IPAddress')
  return portOf(valueAt(driver, 'SSHPort')) === undefined ? undefined : '127.0.0.1'
}

/**
 * The file that Docker Machine writes on hosts with systemd, containing the engine's options
 * (libmachine/provision/systemd.go).
 */
const engineDropIn = '/etc/systemd/system/docker.service.d/10-machine.conf'

/** Docker Machine's default for `--engine-install-url`. */
const defaultInstallUrl = 'https://get.docker.com'

/** A machine in the store, with a note about settings that are not imported. */
type Read = (ReadHost | SkippedHost) & { readonly note?: string }

/**
 * The `--engine-*` options with which a machine was created (libmachine/engine.Options). The values of environment
 * variables are omitted, since they may be secret.
 */
function engineOptionsOf(config: unknown): readonly string[] {
  const options = valueAt(valueAt(config, 'HostOptions'), 'EngineOptions')
  const listAt = (key: string): readonly string[] => {
    const value = valueAt(options, key)
    return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
  }
  const storageDriver = textAt(options, 'StorageDriver')
  const url = textAt(options, 'InstallURL')
  const lists = [
    ['--engine-opt', listAt('ArbitraryFlags')],
    ['--engine-storage-driver', storageDriver === undefined ? [] : [storageDriver]],
    ['--engine-label', listAt('Labels')],
    ['--engine-env', listAt('Env').map((variable) => variable.replace(/=.*/s, ''))],
    ['--engine-insecure-registry', listAt('InsecureRegistry')],
    ['--engine-registry-mirror', listAt('RegistryMirror')],
    ['--engine-install-url', url === undefined || url === defaultInstallUrl ? [] : [url]],
  ] as const
  return lists.flatMap(([option, values]) => values.map((value) => `${option} ${value}`))
}

function noteOf(config: unknown): string | undefined {
  const options = engineOptionsOf(config)
  if (options.length === 0) return undefined
  return `not imported: ${options.join(', ')}; the host keeps these options in ${engineDropIn}`
}

async function readMachine(folder: string): Promise<Read> {
  const title = basename(folder)
  const file = join(folder, 'config.json')
  if (!(await exists(file))) return { title, reason: 'its directory has no config.json' }
  const config = await readJsonFile(file)
  const version = valueAt(config, 'ConfigVersion') ?? 0
  if (typeof version !== 'number' || version > newestVersion) {
    const reason = `its configuration has version ${JSON.stringify(version)}, but fleet supports only versions up to ${newestVersion}`
    return { title, reason }
  }
  const driver = valueAt(config, 'Driver')
  const driverName = textAt(config, 'DriverName') ?? ''
  const address = addressOf(driverName, driver)
  const known = findId(driverName, driver)
  if (address === undefined && known === undefined) {
    return { title, reason: `its configuration has no address (driver ${driverName || 'unknown'})` }
  }
  const identityFile = await findKey(folder, driver)
  const note = noteOf(config)
  return {
    ...(note !== undefined && { note }),
    titles: [title], // Docker Machine uses the directory name, not the configured name (libmachine/persist)
    host: {
      ...(address !== undefined && { address }),
      user: textAt(driver, 'SSHUser') ?? defaultUsers[driverName] ?? 'root',
      port: portOf(valueAt(driver, 'SSHPort')),
      identityFile,
      keyIsItsOwn: identityFile?.startsWith(folder) ?? false,
      ...(known && { known }),
    },
  }
}

/**
 * Like {@link readMachine}, but returns the reason for a broken directory instead of throwing, so that the other
 * machines are still read.
 */
const readMachineOrWhyNot = (folder: string): Promise<Read> =>
  readMachine(folder).catch((error: unknown) => {
    if (error instanceof UserError) return { title: basename(folder), reason: error.message }
    throw error
  })

/**
 * Reads the store of Docker Machine or a fork of it (format versions 0 to 3): the address and login of each machine.
 * Does not read cloud credentials and certificates. The options of engines are only mentioned in notes: dockerd gets
 * them as flags, so it would not start if daemon.json had the same keys.
 */
export async function readDockerMachine(
  store: string | undefined,
  env: Environment,
): Promise<ImportedHosts> {
  const usual = env['MACHINE_STORAGE_PATH'] ?? join(homeOf(env), '.docker', 'machine')
  const folder = join(store ?? usual, 'machines')
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    if (!['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '')) {
      const why = fileProblemOf(error)
      throw new UserError('usage', `cannot read ${folder}: ${why}`, { cause: error })
    }
    throw new UserError('usage', `no Docker Machine hosts were found in ${folder}`, {
      hint: 'specify the Docker Machine storage path, such as ~/.docker/machine: fleet import docker-machine DIR',
    })
  })
  const folders = entries.filter((entry) => !entry.isFile() && !entry.name.startsWith('.'))
  const read = await Promise.all(folders.map(({ name }) => readMachineOrWhyNot(join(folder, name))))
  const notes = read.flatMap(({ note, ...one }) =>
    note !== undefined && 'host' in one
      ? one.titles.map((title) => ({ title: machineNameFrom(title) ?? title, note }))
      : [],
  )
  return { ...nameHosts(read), ...(notes.length > 0 && { notes }) }
}
