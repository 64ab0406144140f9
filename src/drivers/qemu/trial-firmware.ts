/**
 * The emulator's exit code if the firmware has finished: `value << 1 | 1`, where `value` is what the firmware wrote to
 * the port.
 */
export const trialPassed = 33

/** The device that lets a guest choose the emulator's exit code (QEMU, hw/misc/debugexit.c). */
export const exitDevice = 'isa-debug-exit,iobase=0xf4,iosize=4'

const size = 65_536

/**
 * Returns x86 firmware that counts down from 2^26 in protected mode and then stops the emulator. This takes about 30 ms
 * on a processor and 300 ms in QEMU's emulation, but a minute with a /dev/kvm that emulates its guests' kernels. The
 * firmware is mapped below 4 GiB, and the processor starts 16 bytes below that, in real mode (Intel SDM volume 3A,
 * 10.1.4).
 */
export function trialFirmware(): Buffer {
  const rom = Buffer.alloc(size, 0xf4) // hlt
  const put = (offset: number, hex: string) => rom.write(hex.replaceAll(' ', ''), offset, 'hex')
  // cli; lgdt cs:[ff40]; set CR0.PE; jump to 08:ffffff20
  put(0xff00, 'fa 2e660f011640ff 0f20c0 0c01 0f22c0 66ea20ffffff0800')
  // ecx = 2^26; count down to 0; write 10h to port f4h; halt
  put(0xff20, 'b900000004 49 75fd baf4000000 b010 ee f4 ebfd')
  // the operand of lgdt (limit and address of the descriptor table), the null descriptor, and 4 GiB of code
  put(0xff40, '0f00 48ffffff 0000 0000000000000000 ffff0000009acf00')
  put(0xfff0, 'e90dff') // jmp ff00
  return rom
}
