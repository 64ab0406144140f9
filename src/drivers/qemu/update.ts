import { UserError } from '../../errors.ts'
import { withLock } from '../../os/lock.ts'
import type { HostRecord } from '../../machine/machine.ts'
import type { Call } from '../driver.ts'
import type { Difference, Update } from '../update.ts'
import { chooseAccelerator } from './accelerator.ts'
import { growDisk, readDiskSize } from './disk.ts'
import { type HostFile, type Places, idOf, readHost, rewriteHost } from './host-file.ts'
import { isRunning, stopMachine } from './machine.ts'
import type { QemuOptions } from './options.ts'
import { checkShares } from './shares.ts'

/**
 * A difference of one option; none if the option is left to the driver, or the current value is not
 * known.
 */
function differ(
  option: keyof QemuOptions,
  has: string | number | undefined,
  wanted: string | number | undefined,
  rest: Pick<Difference, 'how' | 'why'>,
): Difference[] {
  if (has === undefined || wanted === undefined || has === wanted) return []
  return [{ option, from: `${has}`, to: `${wanted}`, ...rest }]
}

async function compare(
  places: Places,
  host: HostFile,
  options: QemuOptions,
): Promise<readonly Difference[]> {
  const disk = await readDiskSize(places, host)
  const isSmaller = disk !== undefined && options.disk < disk
  const accelerator = options.accelerator === 'auto' ? undefined : options.accelerator
  return [
    ...differ('image', host.image, options.image, { how: 'replace' }),
    ...differ('cpus', host.cpus, options.cpus, { how: 'stop' }),
    ...differ('memory', host.memory, options.memory, { how: 'stop' }),
    ...differ('disk', disk, options.disk, {
      how: isSmaller ? 'replace' : 'live',
      ...(isSmaller && { why: 'a disk cannot shrink' }),
    }),
    ...differ('accelerator', host.accelerator, accelerator, { how: 'stop' }),
    ...differ('arch', host.arch, options.arch, { how: 'replace' }),
    ...differ('sshPort', host.port, options.sshPort, { how: 'replace' }),
    ...differ('shares', host.shares ?? 'none', options.shares ?? 'none', { how: 'stop' }),
    ...differ('user', host.user, options.user, { how: 'replace' }),
  ]
}

/** The properties of a host after a change, which apply from its next start. */
async function noteOf(
  host: HostFile,
  { cpus, memory, accelerator, shares }: QemuOptions,
  only: ReadonlySet<string>,
  { signal }: Call,
): Promise<HostFile> {
  if (only.has('shares')) await checkShares(shares, host.arch, signal)
  return {
    ...host,
    ...(only.has('cpus') && { cpus }),
    ...(only.has('memory') && { memory }),
    ...(only.has('shares') && { shares }),
    ...(only.has('accelerator') && {
      accelerator: await chooseAccelerator(accelerator, host.arch, signal),
    }),
  }
}

/** See `Update`. Most changes need a restart; the disk can grow while the host is running. */
export const reshapeOf = (
  places: Places,
  hostOf: (record: HostRecord) => Promise<HostFile>,
): Update<QemuOptions> => ({
  disks: ['disk'],
  async compare(record, options) {
    const host = record.token === undefined ? undefined : await readHost(places, idOf(record.token))
    return host === undefined ? [] : compare(places, host, options)
  },
  async change(record, { options, only }, call) {
    const host = await hostOf(record)
    const wanted = await noteOf(host, options, only, call)
    const stops = JSON.stringify(wanted) !== JSON.stringify(host)
    if (stops) await stopMachine(host, places, call)
    await withLock(places.folderOf(host.id), async () => {
      if (stops) {
        if (await isRunning(host, places)) {
          throw new UserError('failed', 'the machine was started by someone else', {
            hint: 'run the same command again',
          })
        }
        await rewriteHost(places, wanted)
      }
      if (only.has('disk')) await growDisk(places, host, options.disk, call)
    })
    return only.has('accelerator') ? { accelerator: wanted.accelerator } : {}
  },
})
