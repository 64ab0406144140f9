import { UserError } from '../../errors.ts'
import { withLock } from '../../os/lock.ts'
import type { HostRecord } from '../../machine/machine.ts'
import type { Difference, Update } from '../update.ts'
import { chooseAccelerator } from './accelerator.ts'
import { growDisk, readDiskSize } from './disk.ts'
import { type HostFile, type Paths, idOf, readHost, replaceHost } from './host-file.ts'
import { isRunning, stopMachine } from './power.ts'
import type { QemuOptions } from './options.ts'
import { checkShares } from './shares.ts'

/** Compares one option. There is no difference if the option is not set, or if the current value is not known. */
function compareOption(
  option: keyof QemuOptions,
  current: string | number | undefined,
  wanted: string | number | undefined,
  details: Pick<Difference, 'how' | 'why'>,
): Difference[] {
  if (current === undefined || wanted === undefined || current === wanted) return []
  return [{ option, from: `${current}`, to: `${wanted}`, ...details }]
}

async function compare(
  paths: Paths,
  host: HostFile,
  options: QemuOptions,
): Promise<readonly Difference[]> {
  const disk = await readDiskSize(paths, host)
  const isSmaller = disk !== undefined && options.disk < disk
  const accelerator = options.accelerator === 'auto' ? undefined : options.accelerator
  return [
    ...compareOption('image', host.image, options.image, { how: 'replace' }),
    ...compareOption('cpus', host.cpus, options.cpus, { how: 'stop' }),
    ...compareOption('memory', host.memory, options.memory, { how: 'stop' }),
    ...compareOption('disk', disk, options.disk, {
      how: isSmaller ? 'replace' : 'live',
      ...(isSmaller && { why: 'a disk cannot shrink' }),
    }),
    ...compareOption('accelerator', host.accelerator, accelerator, { how: 'stop' }),
    ...compareOption('arch', host.arch, options.arch, { how: 'replace' }),
    ...compareOption('sshPort', host.port, options.sshPort, { how: 'replace' }),
    ...compareOption('shares', host.shares ?? 'none', options.shares ?? 'none', { how: 'stop' }),
    ...compareOption('user', host.user, options.user, { how: 'replace' }),
  ]
}

/** Returns a host's properties after a change. They take effect at the host's next start. */
async function changedHost(
  host: HostFile,
  { cpus, memory, accelerator, shares }: QemuOptions,
  only: ReadonlySet<string>,
  running: Parameters<typeof checkShares>[2],
): Promise<HostFile> {
  if (only.has('shares')) await checkShares(shares, host.arch, running)
  return {
    ...host,
    ...(only.has('cpus') && { cpus }),
    ...(only.has('memory') && { memory }),
    ...(only.has('shares') && { shares }),
    ...(only.has('accelerator') && {
      accelerator: await chooseAccelerator(accelerator, host.arch, running.signal),
    }),
  }
}

/** See `Update`. Most changes require a restart; the disk can grow while the host is running. */
export const createUpdate = (
  paths: Paths,
  requireHost: (record: HostRecord) => Promise<HostFile>,
): Update<QemuOptions> => ({
  disks: ['disk'],
  async compare(record, options) {
    const host = record.token === undefined ? undefined : await readHost(paths, idOf(record.token))
    return host === undefined ? [] : compare(paths, host, options)
  },
  async change(record, { options, only }, call) {
    const host = await requireHost(record)
    const wanted = await changedHost(host, options, only, {
      env: paths.env,
      signal: call.signal,
    })
    const stops = JSON.stringify(wanted) !== JSON.stringify(host)
    if (stops) await stopMachine(host, paths, call)
    await withLock(paths.folderOf(host.id), async () => {
      if (stops) {
        if (await isRunning(host, paths)) {
          throw new UserError(
            'failed',
            'the virtual machine was started before it could be changed',
            {
              hint: 'run the command again',
            },
          )
        }
        await replaceHost(paths, wanted)
      }
      if (only.has('disk')) await growDisk(paths, host, options.disk, call)
    })
    return only.has('accelerator') ? { accelerator: wanted.accelerator } : {}
  },
})
