import type { HostKeyTrust } from '../../operations/trust/trust-host-key.ts'
import type { Io } from '../../ui/io.ts'
import { canPrompt, confirm } from '../../ui/prompt.ts'
import { flag, text } from '../command.ts'

/** Options for verifying the host key of a new host. */
export const hostKeyOptions = {
  hostKey: text('--host-key <fingerprint>', 'expected host key fingerprint, such as SHA256:…'),
  acceptNew: flag('--accept-new', 'trust the host key without asking'),
} as const

/** Returns how the host key of a new host is verified: by the options, or else by asking the user. */
export function trustFrom(
  io: Io,
  options: { readonly hostKey: string | undefined; readonly acceptNew: boolean },
): HostKeyTrust {
  return {
    expected: options.hostKey,
    acceptNew: options.acceptNew,
    confirm: canPrompt(io)
      ? ({ address, type, fingerprint }) =>
          confirm(io, 'Is this the right key?', {
            introduction: [
              `${address} has an unknown ${type} host key:\n  ${fingerprint}\n`,
              "To compare the fingerprint, run this on the host's console: cat /etc/ssh/ssh_host_*.pub | ssh-keygen -lf -\n",
            ].join(''),
          })
      : undefined,
  }
}
