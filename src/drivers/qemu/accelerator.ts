import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, constants } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { UserError } from '../../errors.ts'
import type { Accelerator, Architecture } from './host-file.ts'
import { emulatorOf } from './programs.ts'
import type { QemuOptions } from './options.ts'

/** How long a trial has to go well, in milliseconds. */
const trialTime = 1500

/** The processor that goes with an accelerator. */
export const processorOf = (accelerator: Accelerator): string =>
  accelerator === 'tcg' ? 'max' : 'host'

/** Whether a machine without a disk lives for a moment: that /dev/kvm can be opened proves nothing. */
async function works(
  accelerator: Accelerator,
  arch: Architecture,
  signal: AbortSignal,
): Promise<boolean> {
  const machine = arch === 'amd64' ? 'q35' : 'virt'
  const words = ['-accel', accelerator, '-machine', machine, '-cpu', processorOf(accelerator)]
  const quiet = ['-m', '64', '-nodefaults', '-no-user-config', '-display', 'none']
  const trial: ChildProcess = spawn(emulatorOf(arch), [...words, ...quiet], { stdio: 'ignore' })
  const ended = once(trial, 'exit').then(
    () => false,
    () => false,
  )
  try {
    return await Promise.race([ended, sleep(trialTime, true, { signal })])
  } finally {
    trial.kill('SIGKILL')
  }
}

/** What this platform has beside plain emulation, for its own architecture. */
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
 * The accelerator to run a host with: the one that was asked for, else the platform's where a trial goes well, else
 * emulation. Throws kind `unsupported` where the one that was asked for does not work.
 */
export async function chooseAccelerator(
  wanted: QemuOptions['accelerator'],
  arch: Architecture,
  signal: AbortSignal,
): Promise<Accelerator> {
  if (wanted === 'tcg') return wanted
  const candidate = wanted === 'auto' ? await native(arch) : wanted
  if (candidate !== undefined && (await works(candidate, arch, signal))) return candidate
  if (wanted === 'auto') return 'tcg'
  throw new UserError('unsupported', `${wanted} does not run a machine here`, {
    hint: 'say --accelerator tcg, which is slow; or see to virtualization in the firmware, and to /dev/kvm',
  })
}
