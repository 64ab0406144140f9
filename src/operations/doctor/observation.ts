import type { HostStatus } from '../../machine/machine.ts'
import type { LoginTrial, SessionCount } from '../../transport/ssh/try-login.ts'
import type { HostFacts } from './host-script.ts'

/** The message and the hint of an error. */
export interface Problem {
  readonly message: string
  readonly hint?: string | undefined
}

/** The result of running a small command over the connection. */
export interface ShellFacts {
  /** The output that the login shell printed before the command; empty if there is none. */
  readonly noise: string
  /** The reason why commands cannot be run; absent if they can. */
  readonly problem?: Problem | undefined
}

/** Whether a large message arrived in each direction within the time limit. */
export interface LargeMessages {
  readonly sent: 'arrived' | 'lost'
  readonly received: 'arrived' | 'lost' | 'unknown'
}

/** The answer of the engine. */
export type EngineAnswer =
  | { readonly version: string; readonly api: string; readonly dataRoot?: string | undefined }
  | (Problem & {
      readonly reason: 'silent' | 'unsupported' | 'other'
    })

/** The result of examining a machine. A part is absent if it was not examined because an earlier one failed. */
export interface Observation {
  readonly name: string
  /** Whether the host is this computer. */
  readonly isLocal: boolean
  /** Whether the machine should have an engine. */
  readonly hasEngine: boolean
  readonly socket: string
  /** Whether the machine has stacks, which require Docker Compose. */
  readonly hasStacks: boolean
  /** Whether Docker Compose is installed on this computer: the host then does not need it for stacks. */
  readonly composeHere: boolean
  /** The reason why there is no host to connect to. */
  readonly record?: Problem | undefined
  readonly provider?: {
    readonly state: HostStatus['state'] | 'not-asked'
    readonly why?: string | undefined
  }
  /** The reason why the provider's firewall blocks this computer. */
  readonly firewall?: Problem | undefined
  /** The jump host, with the problem that prevents its use, if there is one. */
  readonly jump?: { readonly name: string; readonly problem?: Problem | undefined } | undefined
  /** The reason why no login could be attempted: an unusable tunnel, or an invalid value in the record. */
  readonly route?: Problem | undefined
  readonly login?: LoginTrial | undefined
  readonly shell?: ShellFacts | undefined
  readonly large?: LargeMessages | undefined
  readonly sessions?: SessionCount | undefined
  /** The facts that the host script found over the new connection. */
  readonly facts?: HostFacts | undefined
  /** The time of this computer before and after the script read the host's clock, in seconds since 1970. */
  readonly asked?: { readonly from: number; readonly to: number } | undefined
  readonly engine?: EngineAnswer | undefined
  /** The broker's connection to the machine. */
  readonly broker: {
    readonly state: 'off' | 'none' | 'connected'
    /** Whether a command could be run over the connection. */
    readonly answers?: boolean | undefined
    /** The facts that the host script found over the connection, if a new login failed. */
    readonly facts?: HostFacts | undefined
  }
}
