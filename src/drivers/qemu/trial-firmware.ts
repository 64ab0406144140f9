/** What the emulator's exit code is when the firmware got to its end: `value << 1 | 1` of what it wrote to the port. */
export const trialPassed = 33

/** Lets a guest end the emulator with an exit code of its own (QEMU, hw/misc/debugexit.c). */
export const exitDevice = 'isa-debug-exit,iobase=0xf4,iosize=4'

const size = 65_536

/**
 * Firmware of an x86 machine that counts to 2^26 in protected mode and then ends the emulator. A processor does that in
 * some 30 milliseconds and QEMU's emulation in some 300; where /dev/kvm itself emulates the kernels of its guests, as some
 * hypervisors do for machines inside of theirs, it takes a minute. A firmware ends at 4 GiB, and a processor begins 16
 * bytes before that, in real mode (Intel SDM volume 3A, 10.1.4).
 */
export function trialFirmware(): Buffer {
  const rom = Buffer.alloc(size, 0xf4) // hlt
  const put = (offset: number, hex: string) => rom.write(hex.replaceAll(' ', ''), offset, 'hex')
  // cli; lgdt cs:[ff40]; set CR0.PE; jump to 08:ffffff20
  put(0xff00, 'fa 2e660f011640ff 0f20c0 0c01 0f22c0 66ea20ffffff0800')
  // ecx = 2^26; count down to 0; write 10h to port f4h; halt
  put(0xff20, 'b900000004 49 75fd baf4000000 b010 ee f4 ebfd')
  // the descriptor table: where it is, its empty entry, and 4 GiB of code
  put(0xff40, '0f00 48ffffff 0000 0000000000000000 ffff0000009acf00')
  put(0xfff0, 'e90dff') // jmp ff00
  return rom
}
