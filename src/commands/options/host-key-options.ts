import type { HostKeyTrust } from '../../operations/trust/trust-host-key.ts'
import type { Io } from '../../ui/io.ts'
import { canPrompt, confirm } from '../../ui/prompt.ts'
import { flag, text } from '../command.ts'

/** What a person can say of the key of a host that is new. */
export const hostKeyOptions = {
  hostKey: text('--host-key <fingerprint>', 'the SHA256:… that the host must show'),
  acceptNew: flag('--accept-new', 'take the key that the host shows, without asking'),
} as const

/** What makes a new host's key believable: what was said by options, else the person at the terminal. */
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
            preface: [
              `${address} shows a new ${type} host key:\n  ${fingerprint}\n`,
              'To compare, on its console: ssh-keygen -lf /etc/ssh/ssh_host_*.pub\n',
            ].join(''),
          })
      : undefined,
  }
}
