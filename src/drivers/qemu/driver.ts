import { readdir, rm } from 'node:fs/promises'
import { UserError } from '../../errors.ts'
import { withLock } from '../../os/lock.ts'
import type { HostRecord, HostStatus } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import type { Call, Driver, FoundHost, HostPlan, HostSpec } from '../driver.ts'
import { currentComputer, otherComputer } from '../local-hosts.ts'
import { architectureHere, chooseAccelerator } from './accelerator.ts'
import { type HostFile, type Paths, idOf, pathsIn, readHost, readHosts } from './host-file.ts'
import { isRunning, killMachine, startMachine, stopMachine } from './power.ts'
import { removeUnusedBases, isComplete, createHost } from './make.ts'
import type { QemuOptions } from './options.ts'
import type { Environment } from '../../os/environment.ts'
import { emulatorOf, runProgram } from './programs.ts'
import { createUpdate } from './update.ts'
import { checkShares, mountShares } from './shares.ts'
import { snapshotsOf } from './snapshots.ts'
import { ignored } from '../../os/trace.ts'

/** Maximum size of the user-data in bytes. cloud-init reads all of it. */
const maxUserData = 2 ** 20

const otherComputerError = (computer: string): UserError =>
  new UserError('unsupported', `the virtual machine exists only on the computer ${computer}`, {
    hint: `run this command on ${computer}`,
  })

async function planHost(
  paths: Paths,
  spec: HostSpec,
  options: QemuOptions,
  call: Call,
): Promise<HostPlan> {
  call.signal.throwIfAborted()
  const { token, name, tags } = spec
  const id = idOf(token)
  const known = await readHost(paths, id)
  const computer = otherComputer(spec)
  if (known === undefined && computer !== undefined) throw otherComputerError(computer)
  const arch = known?.arch ?? options.arch ?? architectureHere()
  const running = { env: paths.env, signal: call.signal }
  const version = await runProgram(emulatorOf(arch), ['--version'], running)
  await runProgram('qemu-img', ['--version'], running)
  const accelerator =
    known?.accelerator ?? (await chooseAccelerator(options.accelerator, arch, call.signal))
  await checkShares(options.shares, arch, running)
  const { image, cpus, memory, user, shares, sshPort: port } = options
  const draft = {
    id,
    token,
    name,
    tags,
    image,
    user,
    arch,
    accelerator,
    cpus,
    memory,
    shares,
    port,
  }
  const slow = accelerator === 'tcg' ? ' (slow emulation)' : ''
  return {
    resources: { ...spec.resources, ...currentComputer(), accelerator },
    user: known?.user ?? user,
    userData: { maxBytes: maxUserData, gzip: true },
    disk: { image, arch },
    bootCommands: [mountShares],
    notes: [
      `${image}, CPUs: ${cpus}, memory: ${memory} MiB, accelerator: ${accelerator}${slow}, QEMU ${/\d[\d.]*\d/.exec(version)?.[0] ?? ''}`,
    ],
    exists: await isComplete(paths, id),
    make: (data, making) => createHost(paths, draft, options.disk, { data, call: making }),
  }
}

async function deleteFiles(paths: Paths, id: string): Promise<void> {
  const names = await readdir(paths.folderOf(id)).catch(
    ignored('qemu', "list the machine's directory", []),
  )
  const others = names.filter((name) => name !== 'host.json') // deleted last, because fleet finds the host by this file
  for (const name of others) await rm(paths.of(id, name), { recursive: true, force: true })
  await rm(paths.socketOf(id), { force: true })
  await rm(paths.folderOf(id), { recursive: true, force: true })
  await removeUnusedBases(paths)
}

async function removeHost(paths: Paths, record: HostRecord, call: Call): Promise<void> {
  const { token } = record
  if (token === undefined) return
  const id = idOf(token)
  const host = await readHost(paths, id)
  if (host === undefined) {
    const computer = otherComputer(record)
    if (computer !== undefined) throw otherComputerError(computer)
    return
  }
  await withLock(paths.folderOf(id), async () => {
    await killMachine(host, paths, call) // with the lock held, no earlier start is still in progress
    await withLock(paths.lock, () => deleteFiles(paths, id))
  })
}

async function statusOf(paths: Paths, record: HostRecord): Promise<HostStatus> {
  const host = record.token === undefined ? undefined : await readHost(paths, idOf(record.token))
  if (host === undefined)
    return { state: otherComputer(record) === undefined ? 'absent' : 'unknown' }
  return { state: (await isRunning(host, paths)) ? 'running' : 'stopped' }
}

async function foundHost(paths: Paths, host: HostFile): Promise<FoundHost> {
  const state = (await isRunning(host, paths)) ? 'running' : 'stopped'
  const { id, token, name, user, port, tags } = host
  const record: HostRecord = {
    ...{ phase: 'ready', id, token, user, port, address: '127.0.0.1' },
    resources: currentComputer(),
  }
  return { token, machine: name, record, parts: [`virtual machine ${id} (${state})`], tags }
}

/**
 * Creates the QEMU driver, which keeps its virtual machines in `folder` and runs QEMU's programs with the environment
 * variables `env`.
 */
export function qemuDriver(folder: string, env: Environment): Driver<QemuOptions> {
  const paths = pathsIn(folder, env)
  const requireHost = async (record: HostRecord): Promise<HostFile> => {
    const host = await readHost(paths, idOf(record.token ?? ''))
    if (host !== undefined) return host
    const computer = otherComputer(record)
    if (computer !== undefined) throw otherComputerError(computer)
    throw new UserError('failed', 'the virtual machine no longer exists', {
      hint: 'remove the entry: fleet rm NAME',
    })
  }
  const power =
    (work: (host: HostFile, paths: Paths, call: Call) => Promise<void>) =>
    async (record: HostRecord, call: Call): Promise<void> =>
      work(await requireHost(record), paths, call)
  return {
    async observe(hosts) {
      const pairs = [...hosts].map(async ([name, record]): Promise<[MachineName, HostStatus]> => [
        name,
        await statusOf(paths, record),
      ])
      return new Map(await Promise.all(pairs))
    },
    lifecycle: {
      plan: (spec, options, call) => planHost(paths, spec, options, call),
      remove: (record, call) => removeHost(paths, record, call),
      async list({ id }) {
        const hosts = await readHosts(paths)
        const own = hosts.filter(({ tags }) => tags['fleet:id'] === id)
        return Promise.all(own.map((host) => foundHost(paths, host)))
      },
    },
    power: {
      start: power((host, _places, call) => startMachine(host, paths, call)),
      stop: power(stopMachine),
      kill: power(killMachine),
      restart: power(async (host, _places, call) => {
        await stopMachine(host, paths, call)
        await startMachine(host, paths, call)
      }),
    },
    snapshots: snapshotsOf(paths, requireHost),
    update: createUpdate(paths, requireHost),
  }
}
