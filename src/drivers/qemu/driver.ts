import { readdir, rm } from 'node:fs/promises'
import { UserError } from '../../errors.ts'
import { withLock } from '../../os/lock.ts'
import type { HostRecord, HostStatus } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import type { Call, Driver, FoundHost, HostPlan, HostSpec } from '../driver.ts'
import { currentComputer, otherComputer } from '../shared-folders.ts'
import { architectureHere, chooseAccelerator } from './accelerator.ts'
import { type HostFile, type Places, idOf, placesIn, readHost, readHosts } from './host-file.ts'
import { isRunning, killMachine, startMachine, stopMachine } from './machine.ts'
import { clearBases, isWhole, makeHost } from './make.ts'
import type { QemuOptions } from './options.ts'
import { emulatorOf, runProgram } from './programs.ts'
import { reshapeOf } from './update.ts'
import { checkShares, mountShares } from './shares.ts'
import { snapshotsOf } from './snapshots.ts'
import { ignored } from '../../os/trace.ts'

/** In bytes. cloud-init reads all of it. */
const longestUserData = 2 ** 20

const madeElsewhere = (computer: string): UserError =>
  new UserError('unsupported', `the machine is on the computer ${computer} and exists only there`, {
    hint: `run this command on ${computer}`,
  })

async function planHost(
  places: Places,
  wish: HostSpec,
  options: QemuOptions,
  call: Call,
): Promise<HostPlan> {
  call.signal.throwIfAborted()
  const { token, name, tags } = wish
  const id = idOf(token)
  const known = await readHost(places, id)
  const computer = otherComputer(wish)
  if (known === undefined && computer !== undefined) throw madeElsewhere(computer)
  const arch = known?.arch ?? options.arch ?? architectureHere()
  const version = await runProgram(emulatorOf(arch), ['--version'], call.signal)
  await runProgram('qemu-img', ['--version'], call.signal)
  const accelerator =
    known?.accelerator ?? (await chooseAccelerator(options.accelerator, arch, call.signal))
  await checkShares(options.shares, arch, call.signal)
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
  const slow = accelerator === 'tcg' ? ' (emulation, which is slow)' : ''
  return {
    resources: { ...wish.resources, ...currentComputer(), accelerator },
    user: known?.user ?? user,
    userData: { maxBytes: longestUserData, gzip: true },
    disk: { image, arch },
    bootCommands: [mountShares],
    notes: [
      `${image} with ${cpus} processors and ${memory} MiB, accelerator ${accelerator}${slow}, QEMU ${/\d[\d.]*\d/.exec(version)?.[0] ?? ''}`,
    ],
    exists: await isWhole(places, id),
    make: (seed, making) => makeHost(places, draft, options.disk, { seed, call: making }),
  }
}

async function clearHost(places: Places, id: string): Promise<void> {
  const names = await readdir(places.folderOf(id)).catch(
    ignored('qemu', 'list the folder of the machine', []),
  )
  const others = names.filter((name) => name !== 'host.json') // deleted last, because the host is found by it
  for (const name of others) await rm(places.of(id, name), { recursive: true, force: true })
  await rm(places.socketOf(id), { force: true })
  await rm(places.folderOf(id), { recursive: true, force: true })
  await clearBases(places)
}

async function removeHost(places: Places, record: HostRecord, call: Call): Promise<void> {
  const { token } = record
  if (token === undefined) return
  const id = idOf(token)
  const host = await readHost(places, id)
  if (host === undefined) {
    const computer = otherComputer(record)
    if (computer !== undefined) throw madeElsewhere(computer)
    return
  }
  await withLock(places.folderOf(id), async () => {
    await killMachine(host, places, call) // an interrupted start has finished by now
    await withLock(places.lock, () => clearHost(places, id))
  })
}

async function statusOf(places: Places, record: HostRecord): Promise<HostStatus> {
  const host = record.token === undefined ? undefined : await readHost(places, idOf(record.token))
  if (host === undefined)
    return { state: otherComputer(record) === undefined ? 'absent' : 'unknown' }
  return { state: (await isRunning(host, places)) ? 'running' : 'stopped' }
}

async function foundHost(places: Places, host: HostFile): Promise<FoundHost> {
  const state = (await isRunning(host, places)) ? 'running' : 'stopped'
  const { id, token, name, user, port, tags } = host
  const record: HostRecord = {
    ...{ phase: 'ready', id, token, user, port, address: '127.0.0.1' },
    resources: currentComputer(),
  }
  return { token, machine: name, record, parts: [`virtual machine ${id} (${state})`], tags }
}

/** The driver of QEMU, which keeps its virtual machines in `folder`. */
export function qemuDriver(folder: string): Driver<QemuOptions> {
  const places = placesIn(folder)
  const hostOf = async (record: HostRecord): Promise<HostFile> => {
    const host = await readHost(places, idOf(record.token ?? ''))
    if (host !== undefined) return host
    const computer = otherComputer(record)
    if (computer !== undefined) throw madeElsewhere(computer)
    throw new UserError('failed', 'its virtual machine no longer exists', {
      hint: 'remove the entry: fleet rm NAME',
    })
  }
  const power =
    (work: (host: HostFile, places: Places, call: Call) => Promise<void>) =>
    async (record: HostRecord, call: Call): Promise<void> =>
      work(await hostOf(record), places, call)
  return {
    async observe(hosts) {
      const pairs = [...hosts].map(async ([name, record]): Promise<[MachineName, HostStatus]> => [
        name,
        await statusOf(places, record),
      ])
      return new Map(await Promise.all(pairs))
    },
    lifecycle: {
      plan: (wish, options, call) => planHost(places, wish, options, call),
      remove: (record, call) => removeHost(places, record, call),
      async list({ id }) {
        const hosts = await readHosts(places)
        const own = hosts.filter(({ tags }) => tags['fleet:id'] === id)
        return Promise.all(own.map((host) => foundHost(places, host)))
      },
    },
    power: {
      start: power((host, _places, call) => startMachine(host, places, call)),
      stop: power(stopMachine),
      kill: power(killMachine),
      restart: power(async (host, _places, call) => {
        await stopMachine(host, places, call)
        await startMachine(host, places, call)
      }),
    },
    snapshots: snapshotsOf(places, hostOf),
    update: reshapeOf(places, hostOf),
  }
}
