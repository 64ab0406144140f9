import { open } from 'node:fs/promises'
import type { Call } from '../driver.ts'
import type { HostFile, Places } from './host-file.ts'
import { isRunning } from './machine.ts'
import { runProgram } from './programs.ts'
import { execute } from './qmp.ts'
import { ignored } from '../../os/trace.ts'

/** Bytes. */
export const gibibyte = 2 ** 30

/** Where the size of the disk stands in a qcow2 file (QEMU's docs/interop/qcow2.txt, "Header"): 64 bits, big-endian. */
const sizePosition = 24

/** The size of a host's disk, in GiB, rounded down; nothing where it has none yet. A running QEMU is not asked. */
export async function readDiskSize(places: Places, { id }: HostFile): Promise<number | undefined> {
  const file = await open(places.of(id, 'disk.qcow2')).catch(ignored('qemu', 'open the disk'))
  if (file === undefined) return undefined
  try {
    const { buffer } = await file.read(Buffer.alloc(8), 0, 8, sizePosition)
    return Math.floor(Number(buffer.readBigUInt64BE()) / gibibyte)
  } finally {
    await file.close()
  }
}

/** Makes a host's disk larger, in GiB: while it runs, too. Nothing where it is so large already. */
export async function growDisk(
  places: Places,
  host: HostFile,
  size: number,
  call: Call,
): Promise<void> {
  const now = await readDiskSize(places, host)
  if (now === undefined || now >= size) return
  call.progress('grow disk')
  if (await isRunning(host, places)) {
    const wanted = { device: 'virtio0', size: size * gibibyte } // what QEMU calls the first drive of `if=virtio`
    await execute(places.socketOf(host.id), 'block_resize', call.signal, wanted)
  } else {
    const disk = places.of(host.id, 'disk.qcow2')
    await runProgram('qemu-img', ['resize', '-q', '-f', 'qcow2', disk, `${size}G`], call.signal)
  }
}
