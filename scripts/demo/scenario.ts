import type { LabHost } from '../../test/support/lab/lab.ts'

/** A step of the demo: a command, or an event. */
export type Step =
  | {
      /** The command line that the user types into a shell. */
      readonly type: string
      /** The host on whose console the user types (default: the user's computer). */
      readonly on?: LabHost
      /** The expected exit code (default: 0). */
      readonly code?: number
      /** The number of seconds after which the user presses Ctrl-C (default: never). */
      readonly stopAfter?: number
    }
  | {
      /** The description of the event. */
      readonly event: string
      readonly happens: () => Promise<void>
    }

/** The steps that demonstrate one feature. */
export interface Chapter {
  readonly title: string
  readonly steps: readonly Step[]
}

/** The hosts to adopt, and their key fingerprints. */
interface Cast {
  readonly first: LabHost
  readonly second: LabHost
  readonly fingerprint: (host: LabHost) => string
}

const showHostKey = 'ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub'

/** The chapters of the demo, in order. */
export const scenario = ({ first, second, fingerprint }: Cast): readonly Chapter[] => [
  {
    title: 'Start a fleet',
    steps: [{ type: 'fleet init' }],
  },
  {
    title: 'This computer, where no Docker engine runs yet',
    steps: [{ type: 'fleet create laptop --driver local --install-engine --yes' }],
  },
  {
    title: 'Two hosts that exist, each known by its key',
    steps: [
      { type: showHostKey, on: first },
      {
        type: `fleet adopt root@${first.address} --name web-1 --label role=web --host-key ${fingerprint(first)}`,
      },
      {
        type: `fleet adopt root@${second.address} --name web-2 --label role=web --host-key ${fingerprint(second)}`,
      },
      { type: 'fleet label web-2 env=prod' },
    ],
  },
  {
    title: 'One file knows them all, offline; the hosts answer when asked',
    steps: [
      { type: 'cat machines.yaml' },
      { type: 'fleet ls' },
      { type: 'fleet ls --live' },
      { type: 'fleet ls --on role=web --quiet' },
    ],
  },
  {
    title: 'An image, from a Dockerfile and no registry, on every machine',
    steps: [
      { type: 'cat Dockerfile' },
      { type: 'fleet --all build --quiet --tag demo/hello:1 .' },
      { type: 'fleet images --all' },
      { type: 'fleet -m web-1 image layers demo/hello:1' },
    ],
  },
  {
    title: 'Run it everywhere, and watch',
    steps: [
      { type: 'fleet --all run --detach --name hello demo/hello:1' },
      { type: 'fleet ps --all' },
      { type: 'fleet logs --all hello' },
      { type: 'fleet logs --on role=web --follow --tail 1 hello', stopAfter: 4, code: 130 },
      { type: 'fleet stats --all --no-stream' },
      { type: 'fleet df --on role=web' },
    ],
  },
  {
    title: 'One machine is the active one',
    steps: [
      { type: 'fleet active' },
      { type: 'fleet use web-1' },
      { type: 'fleet ps' },
      { type: 'fleet exec hello sh -c "hostname; uptime"' },
      { type: 'fleet ssh web-2 -- hostname' },
      { type: 'fleet cp hello.sh web-1:greeting.sh' },
      { type: 'fleet cp web-1:greeting.sh web-2:' },
      { type: 'fleet ssh web-2 -- ls -l greeting.sh' },
      { type: 'fleet ssh web-2 -- exit 3', code: 3 },
    ],
  },
  {
    title: 'A host fails, and the others answer all the same',
    steps: [
      { event: 'web-2 is switched off', happens: () => second.stop() },
      { type: 'fleet ls --live' },
      { type: 'fleet ps --all', code: 1 },
      { event: 'web-2 is switched on again', happens: () => second.start() },
      { type: 'fleet status web-2' },
    ],
  },
  {
    title: 'Take everything away',
    steps: [
      { type: 'fleet --all container rm --force hello' },
      { type: 'fleet ps --all --all-containers' },
      { type: 'fleet rm --yes laptop web-1 web-2' },
      { type: 'fleet ls' },
    ],
  },
]
