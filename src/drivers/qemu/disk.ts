import { open } from 'node:fs/promises'
import type { Call } from '../driver.ts'
import type { HostFile, Paths } from './host-file.ts'
import { isRunning } from './power.ts'
import { runProgram } from './programs.ts'
import { execute } from './qmp.ts'
import { ignored } from '../../os/trace.ts'

/** One GiB in bytes. */
export const gibibyte = 2 ** 30

/**
 * Position of the disk size in a qcow2 file (QEMU's docs/interop/qcow2.txt, "Header"): 64 bits,
 * big-endian.
 */
const sizePosition = 24

/**
 * Returns the size of a host's disk in GiB, rounded down; `undefined` if the disk does not exist yet. Reads the file
 * directly, which also works while QEMU is running.
 */
export async function readDiskSize(paths: Paths, { id }: HostFile): Promise<number | undefined> {
  const file = await open(paths.of(id, 'disk.qcow2')).catch(ignored('qemu', 'open the disk'))
  if (file === undefined) return undefined
  try {
    const { buffer } = await file.read(Buffer.alloc(8), 0, 8, sizePosition)
    return Math.floor(Number(buffer.readBigUInt64BE()) / gibibyte)
  } finally {
    await file.close()
  }
}

/** Enlarges a host's disk to `size` GiB, even while the host is running, unless the disk is already large enough. */
export async function growDisk(
  paths: Paths,
  host: HostFile,
  size: number,
  call: Call,
): Promise<void> {
  const now = await readDiskSize(paths, host)
  if (now === undefined || now >= size) return
  call.progress('grow the disk')
  if (await isRunning(host, paths)) {
    const wanted = { device: 'virtio0', size: size * gibibyte } // QEMU's name for the first drive with `if=virtio`
    await execute(paths.socketOf(host.id), 'block_resize', call.signal, wanted)
  } else {
    const disk = paths.of(host.id, 'disk.qcow2')
    await runProgram('qemu-img', ['resize', '-q', '-f', 'qcow2', disk, `${size}G`], {
      env: paths.env,
      signal: call.signal,
    })
  }
}
