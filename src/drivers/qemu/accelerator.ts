import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, constants, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { UserError } from '../../errors.ts'
import type { Accelerator, Architecture } from './host-file.ts'
import { emulatorOf } from './programs.ts'
import type { QemuOptions } from './options.ts'
import { exitDevice, trialFirmware, trialPassed } from './trial-firmware.ts'

/** Time limit of a trial, in milliseconds. The limit is generous, so that the trial passes even on a busy computer. */
const trialTimeout = 5000

/** How long a machine must run to pass the trial if there is no trial firmware for it, in milliseconds. */
const minRunTime = 1500

/** Returns the CPU model for an accelerator. */
export const processorOf = (accelerator: Accelerator): string =>
  accelerator === 'tcg' ? 'max' : 'host'

/**
 * Whether an accelerator can run guests, and runs them faster than emulation does. Being able to open /dev/kvm proves
 * neither: some hypervisors emulate the kernels of nested guests. On amd64, a small firmware must finish in time; on
 * other architectures, a machine without a disk must keep running for a moment.
 */
export async function isUsable(
  accelerator: Accelerator,
  arch: Architecture,
  signal: AbortSignal,
): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), 'fleet-trial-'))
  const isAmd64 = arch === 'amd64'
  try {
    const firmware = join(folder, 'firmware')
    if (isAmd64) await writeFile(firmware, trialFirmware())
    const machine = ['-machine', isAmd64 ? 'q35' : 'virt', '-cpu', processorOf(accelerator)]
    const quiet = ['-m', '64', '-nodefaults', '-no-user-config', '-display', 'none']
    const guest = isAmd64 ? ['-bios', firmware, '-device', exitDevice] : []
    const words = ['-accel', accelerator, ...machine, ...quiet, ...guest]
    return await passes(spawn(emulatorOf(arch), words, { stdio: 'ignore' }), { isAmd64, signal })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function passes(
  trial: ChildProcess,
  { isAmd64, signal }: { isAmd64: boolean; signal: AbortSignal },
): Promise<boolean> {
  const ended = once(trial, 'exit').then(
    ([code]) => code === trialPassed,
    () => false,
  )
  const time = isAmd64
    ? sleep(trialTimeout, false, { signal })
    : sleep(minRunTime, true, { signal })
  try {
    return await Promise.race([ended, time])
  } finally {
    trial.kill('SIGKILL')
  }
}

/** Returns the hardware accelerator of this platform, if it can run the architecture. */
async function native(arch: Architecture): Promise<Accelerator | undefined> {
  if (arch !== architectureHere()) return undefined
  if (process.platform === 'darwin') return 'hvf'
  if (process.platform !== 'linux') return undefined
  return access('/dev/kvm', constants.R_OK | constants.W_OK).then(
    () => 'kvm' as const,
    () => undefined,
  )
}

export const architectureHere = (): Architecture => (process.arch === 'arm64' ? 'arm64' : 'amd64')

/**
 * Chooses the accelerator of a host: the requested one, or else the platform's hardware accelerator if a trial
 * succeeds, or else emulation. Throws kind `unsupported` if the requested one does not work.
 */
export async function chooseAccelerator(
  wanted: QemuOptions['accelerator'],
  arch: Architecture,
  signal: AbortSignal,
): Promise<Accelerator> {
  if (wanted === 'tcg') return wanted
  const candidate = wanted === 'auto' ? await native(arch) : wanted
  if (candidate !== undefined && (await isUsable(candidate, arch, signal))) return candidate
  if (wanted === 'auto') return 'tcg'
  throw new UserError(
    'unsupported',
    `${wanted} does not work on this computer, or is slower than emulation`,
    {
      hint: 'use --accelerator tcg, which is slow, or check that virtualization is enabled in the firmware and that /dev/kvm works',
    },
  )
}
