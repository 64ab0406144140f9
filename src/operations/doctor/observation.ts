import type { HostStatus } from '../../machine/machine.ts'
import type { LoginTrial, SessionCount } from '../../transport/ssh/try-login.ts'
import type { HostFacts } from './host-script.ts'

/** An error for a person. */
export interface Trouble {
  readonly message: string
  readonly hint?: string | undefined
}

/** What a small command and a large one did on the connection. */
export interface ShellFacts {
  /** What the login shell printed before the command; empty: nothing. */
  readonly noise: string
  /** Absent: commands run. */
  readonly trouble?: Trouble | undefined
}

/** How many bytes of a large message arrived in each direction within the time. */
export interface LargeMessages {
  readonly sent: 'arrived' | 'lost'
  readonly received: 'arrived' | 'lost' | 'unknown'
}

/** The answer of the engine. */
export type EngineAnswer =
  | { readonly version: string; readonly api: string; readonly dataRoot?: string | undefined }
  | (Trouble & {
      readonly reason: 'silent' | 'unsupported' | 'other'
    })

/** What is known of a machine. Absent parts were not looked at, since an earlier one failed. */
export interface Observation {
  readonly name: string
  /** Whether the host is this computer. */
  readonly isLocal: boolean
  /** Whether the machine should have an engine. */
  readonly hasEngine: boolean
  readonly socket: string
  /** Whether it has stacks, which need compose. */
  readonly hasStacks: boolean
  /** Whether a compose of this computer serves its stacks. */
  readonly composeHere: boolean
  /** Why there is no host to connect to. */
  readonly record?: Trouble | undefined
  readonly provider?: {
    readonly state: HostStatus['state'] | 'unasked'
    readonly why?: string | undefined
  }
  /** Why the provider's firewall does not let this computer in. */
  readonly firewall?: Trouble | undefined
  /** The jump host, and what is wrong with it. */
  readonly jump?: { readonly name: string; readonly trouble?: Trouble | undefined } | undefined
  /** Why no login could be tried: an unusable tunnel, a wrong value in the record. */
  readonly route?: Trouble | undefined
  readonly login?: LoginTrial | undefined
  readonly shell?: ShellFacts | undefined
  readonly large?: LargeMessages | undefined
  readonly sessions?: SessionCount | undefined
  /** What the script found, over this connection. */
  readonly facts?: HostFacts | undefined
  /** The time of this computer between which the script read the clock of the host, in seconds since 1970. */
  readonly asked?: { readonly from: number; readonly to: number } | undefined
  readonly engine?: EngineAnswer | undefined
  /** What the broker has. */
  readonly broker: {
    readonly state: 'off' | 'none' | 'connected'
    /** Whether a command runs over its connection. */
    readonly answers?: boolean | undefined
    /** What the script found over the connection of the broker, where a new login fails. */
    readonly facts?: HostFacts | undefined
  }
}
