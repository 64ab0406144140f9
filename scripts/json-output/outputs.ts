import * as z from 'zod'
import type {
  BrokerStatus,
  ForwardStatus,
  HostStatus,
  SocketStatus,
} from '../../src/broker/protocol.ts'
import type { CachedImage } from '../../src/disk-images/image-cache.ts'
import type { Snapshot } from '../../src/drivers/driver.ts'
import type { ContainerPort } from '../../src/engine/containers.ts'
import type { DiskUsageRow } from '../../src/engine/disk-usage.ts'
import type { Pruned } from '../../src/engine/prune.ts'
import type { ContainerStats } from '../../src/engine/stats.ts'
import type { EngineEvent } from '../../src/engine/system.ts'
import { type ErrorKind, exitCodes } from '../../src/errors.ts'
import { machineEntry, profileEntry } from '../../src/machine/schema.ts'
import type { FoundContainer } from '../../src/commands/container/where.ts'
import type { Removed } from '../../src/commands/multi/remove-from-engines.ts'
import type { CheckRow } from '../../src/commands/doctor/doctor.ts'
import { computerChecks, machineChecks } from '../../src/operations/doctor/check.ts'
import type { Copied } from '../../src/operations/copy/copy-files.ts'
import type { ImageCopy } from '../../src/operations/copy/copy-image.ts'
import type { SyncedContext } from '../../src/operations/docker/sync-contexts.ts'
import type { ImportedHost } from '../../src/operations/import/imported-host.ts'
import type { AllowedCaller } from '../../src/operations/machine/allow-caller.ts'
import type { Observation } from '../../src/operations/machine/observe-machines.ts'
import type { KeyChange } from '../../src/operations/machine/rekey-machine.ts'
import type {
  Change,
  ChangePlan,
  Drift,
  Issue,
  PlannedDeployment,
  PlannedSwarmChange,
} from '../../src/operations/plan/change-plan.ts'
import type { ServiceChange } from '../../src/operations/stacks/compare-services.ts'
import type { Deployed } from '../../src/operations/stacks/deploy-machine.ts'
import type { AdoptedStack } from '../../src/operations/stacks/deployed/adopt-stack.ts'
import type { RemovedStack } from '../../src/operations/stacks/deployed/remove-stack.ts'
import type { StackContainerRow } from '../../src/operations/stacks/deployed/stack-containers.ts'
import type { StackOnMachine } from '../../src/operations/stacks/deployed/stack-states.ts'
import type { RolledBack } from '../../src/operations/stacks/rollback-machine.ts'
import type { ChangedService } from '../../src/operations/services/change-service.ts'
import type { ServiceRow, TaskRow } from '../../src/operations/services/list-services.ts'
import type { PortProblem } from '../../src/operations/swarm/check-ports.ts'
import type { Recovered } from '../../src/operations/swarm/recover-swarm.ts'
import type { Rotated } from '../../src/commands/swarm/rotate.ts'
import type { Unlocked } from '../../src/commands/swarm/unlock.ts'
import type { SwarmNodeState, SwarmSummary } from '../../src/operations/swarm/swarm-states.ts'
import type { StoredLogin } from '../../src/operations/registry/host-logins.ts'
import type { LoggedOut } from '../../src/commands/registry/registry.ts'
import type { TrustSubject } from '../../src/operations/trust/trust-driver.ts'
import type { SettingChange } from '../../src/provision/engine/settings/engine-settings.ts'
import type { HostProbe } from '../../src/provision/host/probe.ts'

// Schemas of the output of commands with --json. Only documentation and tests use them; fleet itself does not load
// them. If a type of fleet is printed unchanged, `fieldsOf` checks its fields, so that the compiler reports a new one.

/** The output of one or more commands, with its schema. */
export interface JsonOutput {
  /** The name of the definition in docs/json-output.schema.json. */
  readonly id: string
  /** The command lines that print it, without `fleet` and arguments. */
  readonly commands: readonly string[]
  /** The form of the output, such as `array`, `object`, `object; with --on: array`, `object per line`. */
  readonly form: string
  readonly schema: z.ZodType
  readonly note?: string
}

/** An object with exactly the fields of `T`. */
const fieldsOf =
  <T>() =>
  <Shape extends { readonly [Key in keyof Required<T>]: z.ZodType }>(
    shape: Shape & Readonly<Record<Exclude<keyof Shape, keyof T>, never>>,
  ) =>
    z.strictObject<Shape>(shape)

const text = (description: string) => z.string().describe(description)
const count = (description: string) => z.number().describe(description)
const flag = (description: string) => z.boolean().describe(description)
const texts = (description: string) => z.array(z.string()).describe(description)
const time = (description: string) => text(`${description} (ISO 8601, UTC)`)
const bytes = (description: string) => count(`${description}, in bytes`)
const pairs = (description: string) => z.record(z.string(), z.string()).describe(description)
const oneOrMany = <Schema extends z.ZodType>(schema: Schema) => z.union([schema, z.array(schema)])

const name = text('name of the machine')
const machineName = text('name of the machine')
/** A field of results from engines. It is present if several machines can respond. */
const answering = { machine: text('name of the machine, if machines were selected').optional() }

const machine = machineEntry
  .extend({ name, driver: text('the driver, from the entry or its profile') })
  .meta({ id: 'machine' })
const hint = text('the next step, if there is one').optional()
const newMachine = machineEntry
  .extend({ name, driver: text('the driver, from the entry or its profile'), hint })
  .meta({ id: 'newMachine' })

const states = [
  ...(['running', 'no-engine', 'unreachable', 'not-created', 'creating', 'removing'] as const),
  ...(['paused', 'stopped', 'starting', 'stopping', 'absent'] as const),
] as const

const client = {
  sshClient: z.string().optional().describe("the SSH client, if it is not fleet's own: openssh"),
  sshClientReason: z.string().optional().describe('why this client is used'),
}

const observation = {
  ...client,
  state: z
    .enum(states)
    .describe(
      '`no-engine`: the host answers, but Docker does not; `paused` and the later ones are reported by the provider',
    ),
  reason: text('why the machine is not running').optional(),
  engine: text('version of Docker').optional(),
  containers: z
    .strictObject({ running: count('running containers'), all: count('all containers') })
    .optional(),
  images: count('number of images').optional(),
  os: text('operating system').optional(),
  arch: text('processor architecture, as the kernel names it').optional(),
  took: count('duration of the query, in milliseconds'),
}

const listed = {
  name,
  active: flag('whether it is the active machine'),
  driver: text('the driver'),
  address: text('address and port; empty if it has none yet, `this computer` for a local machine'),
  labels: pairs('labels'),
  phase: z
    .enum(['not-created', 'creating', 'ready', 'removing'])
    .describe('phase of the entry in the inventory'),
}

const machines: readonly JsonOutput[] = [
  {
    id: 'ls',
    commands: ['ls'],
    form: 'array',
    schema: z.array(z.strictObject(listed)),
  },
  {
    id: 'lsLive',
    commands: ['ls --live'],
    form: 'array',
    schema: z.array(
      z.strictObject({
        ...listed,
        live: fieldsOf<Omit<Observation, 'machine'>>()(observation).describe(
          'the current state, with the fields of `status`',
        ),
      }),
    ),
  },
  {
    id: 'status',
    commands: ['status'],
    form: 'array',
    schema: z.array(fieldsOf<Observation>()({ machine: machineName, ...observation })),
  },
  {
    id: 'doctor',
    commands: ['doctor'],
    form: 'array',
    schema: z.array(
      fieldsOf<CheckRow>()({
        machine: text('name of the machine; absent for this computer').optional(),
        check: z.enum([...new Set([...computerChecks, ...machineChecks])]).describe('the check'),
        state: z
          .enum(['ok', 'warn', 'fail', 'skipped'])
          .describe(
            '`skipped`: there is nothing to check, or another check that failed explains it',
          ),
        message: text('the result as a sentence'),
        fix: text('the command or the step that fixes it').optional(),
      }),
    ),
    note: 'The checks of this computer come first, then those of each machine.',
  },
  {
    id: 'inspect',
    commands: ['inspect'],
    form: 'array',
    schema: z.array(machine.extend(client)),
    note: 'The fields are those of a [machine](machines-yaml.md#machines), with the values of its profile and the defaults, and its SSH client.',
  },
  {
    id: 'power',
    commands: ['start', 'stop', 'restart', 'kill'],
    form: 'array',
    schema: z.array(machine),
    note: 'The machines, as `inspect` prints them, without the SSH client.',
  },
  {
    id: 'create',
    commands: ['create', 'adopt'],
    form: 'object; `create` of several machines: array',
    schema: oneOrMany(newMachine),
    note: 'The machine, as `inspect` prints it, and `hint`: the next step, if there is one.',
  },
  {
    id: 'import',
    commands: ['import'],
    form: 'array',
    schema: z.array(newMachine),
    note: 'The machines that were imported, as `create` prints them.',
  },
  {
    id: 'importDryRun',
    commands: ['import --dry-run'],
    form: 'array',
    schema: z.array(
      z.union([
        fieldsOf<ImportedHost>()({
          name,
          address: text('address, or alias in ~/.ssh/config').optional(),
          user: text('user to log in as').optional(),
          port: count('SSH port').optional(),
          labels: pairs('labels').optional(),
          identityFile: text('private key to log in with').optional(),
          keyIsItsOwn: flag('whether the key belongs to this host only').optional(),
          known: z
            .strictObject({
              driver: text('driver for the provider'),
              id: text("the provider's ID for the host"),
              options: z.record(z.string(), z.unknown()).describe('options of the driver'),
            })
            .optional(),
          followsSshConfig: flag('whether the address can be an alias in ~/.ssh/config').optional(),
          jumps: texts('jump hosts, in the order of connection').optional(),
        }),
        z.strictObject({ name, destination: text('alias in the SSH configuration') }),
      ]),
    ),
    note: '`import ssh-config` prints `name` and `destination` only.',
  },
  {
    id: 'set',
    commands: ['set'],
    form: 'object; with `--on`: array',
    schema: z.union([oneOrMany(machine), profileEntry.extend({ name })]),
    note: 'The machine as `inspect` prints it, or the profile.',
  },
  {
    id: 'label',
    commands: ['label'],
    form: 'object; with `--on`: array',
    schema: z.union([
      z.record(z.string(), z.string()),
      z.array(z.strictObject({ name, labels: pairs('labels') })),
    ]),
    note: 'Without `--on`, the result contains only the labels.',
  },
  {
    id: 'ip',
    commands: ['ip'],
    form: 'array',
    schema: z.array(z.strictObject({ name, address: text('address of the host') })),
  },
  {
    id: 'use',
    commands: ['use'],
    form: 'object',
    schema: z.strictObject({
      name,
      overriddenBy: text('the machine in `FLEET_MACHINE`, if it is another one').optional(),
    }),
  },
  {
    id: 'active',
    commands: ['active'],
    form: 'object',
    schema: z.strictObject({
      name,
      overrides: text('the active machine, if `FLEET_MACHINE` overrides it').optional(),
    }),
  },
  {
    id: 'rm',
    commands: ['rm', 'forget'],
    form: 'array',
    schema: z.array(
      z.strictObject({ name, hostRemoved: flag('whether the host was removed too') }),
    ),
  },
  {
    id: 'gc',
    commands: ['gc'],
    form: 'array',
    schema: z.array(
      z.strictObject({
        driver: text('the driver'),
        machine: text('name of the machine when the host was created'),
        token: text('creation token'),
        parts: texts('resources'),
        created: time('when the host was created').optional(),
        createdBy: text('who created it').optional(),
        protected: flag('whether the machine was protected'),
        keptBecause: text('why it is kept unless you specify its name').optional(),
      }),
    ),
    note: 'Hosts that are not in the inventory; after a removal, the removed hosts.',
  },
  {
    id: 'upgrade',
    commands: ['upgrade'],
    form: 'array',
    schema: z.array(
      z.strictObject({
        name: text('name of the machine'),
        from: text('version of Docker before the upgrade'),
        to: text('version of Docker after the upgrade; the same if there was nothing to upgrade'),
      }),
    ),
  },
  {
    id: 'provision',
    commands: ['provision'],
    form: 'object; with `--on`: array',
    schema: oneOrMany(
      fieldsOf<
        HostProbe & { name?: string; changed: string[]; skipped?: readonly SettingChange[] }
      >()({
        name: text('name of the machine, with `--on`').optional(),
        changed: texts('steps that were done'),
        os: z.strictObject({
          id: text('`ID` of os-release'),
          like: texts('`ID_LIKE` of os-release'),
          version: text('version').optional(),
          name: text('name for display'),
        }),
        arch: text('processor architecture in Docker notation'),
        kernel: text('version of the kernel'),
        skipped: z
          .array(
            z.strictObject({
              option: text('name of the setting'),
              from: text('value on the host'),
              to: text('value in the inventory'),
              effect: z.enum(['live', 'restart', 'destructive']).describe('always `destructive`'),
            }),
          )
          .optional()
          .describe(
            'settings that were not changed, because the engine would no longer find its images and containers',
          ),
        init: z.enum(['systemd', 'openrc', 'none']).describe('the init system'),
        user: text('user that fleet logs in as'),
        root: flag('whether this user is root'),
        sudo: flag('whether the user can run sudo without a password'),
        sudoNeeds: z
          .enum(['password', 'terminal'])
          .describe('what sudo requires, if the user cannot run it without a password or terminal')
          .optional(),
        dockerGroup: flag('whether the user is in the docker group'),
        appArmorMissing: flag('whether AppArmor is enabled, but its tools are missing'),
        cloudInit: z.enum(['absent', 'running', 'done']).describe('state of cloud-init'),
        alpineCommunity: flag("whether Alpine's community repository is enabled"),
        cli: flag('whether the Docker CLI is installed'),
        daemon: flag('whether dockerd is installed'),
        engineFromDocker: flag("whether dockerd was installed from Docker's own repository"),
        service: z
          .strictObject({ active: flag('running'), enabled: flag('started at boot') })
          .optional(),
        engine: z
          .strictObject({
            socket: text('path of the socket'),
            version: text('version of Docker, if it answers').optional(),
            direct: flag('whether the user can open the socket'),
          })
          .optional(),
      }),
    ),
  },
  {
    id: 'rekey',
    commands: ['rekey'],
    form: 'object; with `--on`: array',
    schema: oneOrMany(
      fieldsOf<KeyChange & { name: string }>()({
        name,
        before: texts('fingerprints of the keys that were pinned before'),
        after: text('fingerprint of the key that is pinned now'),
      }),
    ),
  },
  {
    id: 'allow',
    commands: ['allow'],
    form: 'array',
    schema: z.array(
      fieldsOf<AllowedCaller>()({
        name,
        caller: texts('addresses of this computer, as CIDR ranges'),
        added: texts('the ranges that were added'),
        allowed: texts('all ranges from which SSH is allowed now'),
      }),
    ),
  },
  {
    id: 'snapshotLs',
    commands: ['snapshot ls'],
    form: 'array',
    schema: z.array(
      fieldsOf<Snapshot>()({
        name: text('name of the snapshot'),
        created: time('when it was saved'),
        isRunning: flag('whether it includes the memory of a running host'),
      }),
    ),
  },
  {
    id: 'ssh',
    commands: ['ssh'],
    form: 'object per line, when the command has ended on a machine',
    schema: z.strictObject({
      machine: machineName,
      code: count('exit code of the command'),
      stdout: text('its output'),
      stderr: text('its error output'),
    }),
  },
  {
    id: 'cp',
    commands: ['cp'],
    form: 'array',
    schema: oneOrMany(
      fieldsOf<Copied & { machine?: string; from: string; to: string; seconds: number }>()({
        machine: text('name of the machine, with `--on`').optional(),
        from: text('source'),
        to: text('target'),
        bytes: bytes('data that was copied'),
        skipped: texts('what was skipped or changed, and why'),
        seconds: count('duration, in seconds'),
      }),
    ),
  },
]

const change = fieldsOf<Change>()({
  machine: machineName,
  action: z
    .enum([
      'create',
      'adopt',
      'change',
      'start',
      'stop',
      'operators',
      'engine',
      'engine-config',
      'replace',
      'remove',
    ])
    .describe('the action that `apply` takes'),
  why: text('the reason'),
  destructive: z.literal(true).optional().describe('`apply` needs a separate confirmation'),
  gone: z.literal(true).optional().describe('for `replace`: the host no longer exists'),
  outside: z
    .literal(true)
    .optional()
    .describe('for `operators`: also removes revoked keys from lines that fleet did not write'),
  stops: z.literal(true).optional().describe('the host is stopped during the change'),
  effect: z
    .enum(['live', 'restart', 'destructive'])
    .optional()
    .describe(
      'for `engine-config`: the engine reloads its settings, restarts, or restarts without its images and containers',
    ),
  options: z
    .array(
      z.strictObject({
        option: text('name of the option'),
        from: text('value now'),
        to: text('value in the inventory'),
      }),
    )
    .optional(),
  grants: texts('resources on this computer that the host may use').optional(),
})

const drift = fieldsOf<Drift>()({
  machine: machineName,
  field: z.enum(['address', 'os', 'arch', 'engine']).describe('what has changed'),
  expected: text('value in the inventory').optional(),
  actual: text('value now; absent if the engine does not answer').optional(),
})

const serviceChange = fieldsOf<ServiceChange>()({
  service: text('name of the service'),
  action: z
    .enum(['create', 'recreate', 'scale', 'start', 'remove'])
    .describe('what happens to its containers'),
  why: text('the reason'),
})

const deployment = fieldsOf<PlannedDeployment>()({
  stack: text('name of the stack'),
  machine: machineName,
  swarm: text(
    'name of the swarm, if it is deployed on one; the machine is then a manager of the swarm',
  ).optional(),
  digest: text('digest of the Compose files and of the files that they refer to'),
  after: z
    .enum(['create', 'adopt', 'replace', 'start'])
    .optional()
    .describe('the change to the machine that is made first'),
  services: z.array(serviceChange).describe('the changes to containers, by service'),
  unfinished: z
    .literal(true)
    .optional()
    .describe('a deployment was interrupted, so files are compared and copied again'),
  pull: z.literal(true).optional().describe('newer images are pulled first'),
  grants: texts(
    'files and shell variables on this computer that the stack uses and that you have not allowed yet',
  ).optional(),
})

const swarmChange = fieldsOf<PlannedSwarmChange>()({
  swarm: text('name of the swarm'),
  machine: machineName,
  action: z
    .enum([
      ...(['open-ports', 'init', 'record', 'join', 'promote', 'label'] as const),
      ...(['remove-node', 'demote', 'leave', 'close-ports', 'autolock'] as const),
    ])
    .describe(
      '`record`: the ID of an existing swarm is written to the inventory; `label`: node labels change, and a node that has just joined is activated; `remove-node`: the old node of the machine, such as that of its replaced host, is removed; `open-ports`, `close-ports`: the firewall of the provider is changed between the machine and the other members; `autolock`: autolock is turned on or off',
    ),
  role: z.enum(['manager', 'worker']).optional().describe('role, for `join`'),
  node: text('ID of an existing node').optional(),
  why: text('the reason'),
  after: z
    .enum(['create', 'adopt', 'replace'])
    .optional()
    .describe('the change to the machine that is made first'),
})

const deployed = fieldsOf<Deployed>()({
  machine: machineName,
  stack: text('name of the stack'),
  state: z.enum(['deployed', 'unchanged']),
  release: count('number of the release on the machine'),
  changes: z.array(serviceChange).describe('the changes that were made, by service'),
})

const issues = z
  .array(
    fieldsOf<Issue>()({
      machine: text(
        'name of the machine; absent if it concerns a provider, a stack or a swarm',
      ).optional(),
      why: text('the problem'),
      hint: text('the next step').optional(),
    }),
  )
  .describe('the issues that need your attention')

const planFields = {
  version: z.literal(1).describe('version of this format'),
  inventory: text('digest of the inventory'),
  changes: z.array(change).describe('the changes that `apply` makes'),
  swarms: z
    .array(swarmChange)
    .describe(
      'the changes that `apply` makes to swarms, in this order, after the changes to machines',
    )
    .optional(),
  deployments: z.array(deployment).describe('the stacks that `apply` deploys').optional(),
  drift: z.array(drift).describe('the changes that were made outside of fleet'),
  issues,
  skipped: texts('machines that were not selected').optional(),
}
const plan = fieldsOf<ChangePlan>()(planFields)

const inventory: readonly JsonOutput[] = [
  {
    id: 'init',
    commands: ['init'],
    form: 'object',
    schema: z.strictObject({ files: texts('paths of the files that were written') }),
  },
  {
    id: 'check',
    commands: ['check'],
    form: 'object',
    schema: z.strictObject({
      location: text('path of the inventory'),
      machines: count('number of machines'),
    }),
    note: 'Problems are reported as an error of the kind `inventory`.',
  },
  {
    id: 'checkInstallHook',
    commands: ['check --install-hook'],
    form: 'object',
    schema: z.strictObject({
      hook: text('path of the hook'),
      installed: flag('false if the hook was already installed'),
    }),
  },
  {
    id: 'merge',
    commands: ['merge'],
    form: 'object',
    schema: z.union([
      z.strictObject({ conflicts: texts('conflicts that remain') }),
      z.strictObject({ files: texts('with `--install`: paths of the files that were written') }),
    ]),
  },
  { id: 'plan', commands: ['plan'], form: 'object', schema: plan },
  {
    id: 'apply',
    commands: ['apply'],
    form: 'array',
    schema: z.array(
      z.strictObject({
        name,
        changes: z.array(change).describe('the changes that were made'),
        swarms: z.array(swarmChange).describe('the swarm changes that were made').optional(),
        deployments: z.array(deployed).describe('the stacks that were deployed').optional(),
      }),
    ),
  },
  {
    id: 'refresh',
    commands: ['refresh'],
    form: 'array',
    schema: z.array(drift),
    note: 'The drift that was recorded in the inventory.',
  },
  {
    id: 'operatorAdd',
    commands: ['operator add'],
    form: 'object',
    schema: z.strictObject({
      name: text('name of the operator'),
      key: text('public key'),
      on: texts('selectors of the machines; absent: all machines').optional(),
    }),
  },
  {
    id: 'operatorLs',
    commands: ['operator ls'],
    form: 'array',
    schema: z.array(
      z.strictObject({
        name: text('name of the operator'),
        on: texts('selectors of the machines; empty: all machines'),
        fingerprint: text('fingerprint of the key'),
      }),
    ),
  },
]

const port = fieldsOf<ContainerPort>()({
  IP: text('address on the host').optional(),
  PrivatePort: count('port in the container'),
  PublicPort: count('port on the host').optional(),
  Type: text('`tcp`, `udp` or `sctp`'),
})

const logLine = z.strictObject({
  machine: machineName,
  container: text('name of the container, as you typed it; of services: its ID'),
  task: text('of services: name of the task').optional(),
  stream: z.enum(['stdout', 'stderr']),
  time: time('when the line was written, with nanoseconds'),
  line: text('the line'),
})

const containers: readonly JsonOutput[] = [
  {
    id: 'ps',
    commands: ['ps', 'container ls'],
    form: 'array',
    schema: z.array(
      z.strictObject({
        ...answering,
        id: text('ID of the container'),
        name: text('name of the container'),
        image: text('image name or ID'),
        command: text('the command'),
        created: time('when it was created'),
        state: text('`running`, `exited` and others, as in the Engine API'),
        status: text('the state as text, such as `Up 3 minutes`'),
        ports: z.array(port).describe('ports, as in the Engine API'),
        labels: pairs('labels of the container'),
        size: z
          .strictObject({
            writable: bytes('size of the writable layer'),
            virtual: bytes('size of all layers'),
          })
          .optional()
          .describe('with `--size`'),
      }),
    ),
    note: '`ps --format json` prints the fields of `docker ps --format json` instead, one object per line.',
  },
  {
    id: 'where',
    commands: ['where'],
    form: 'array',
    schema: z.array(
      fieldsOf<FoundContainer & { machine?: string }>()({
        ...answering,
        id: text('ID of the container'),
        name: text('name of the container'),
        project: text('Compose project, if it belongs to one').optional(),
        service: text('Compose service, if it belongs to one').optional(),
        image: text('image name or ID'),
        state: text('`running`, `exited` and others, as in the Engine API'),
        status: text('the state as text, such as `Up 3 minutes`'),
      }),
    ),
  },
  {
    id: 'logs',
    commands: ['logs', 'container logs'],
    form: 'object per line',
    schema: logLine,
  },
  {
    id: 'stats',
    commands: ['stats', 'container stats'],
    form: 'array',
    schema: z.array(
      fieldsOf<ContainerStats & { machine?: string }>()({
        ...answering,
        id: text('ID of the container'),
        name: text('name of the container'),
        cpuPercent: count('CPU usage; 100 is one processor'),
        memory: z.strictObject({
          used: bytes('memory in use'),
          limit: bytes('limit'),
          percent: count('share of the limit, in percent'),
        }),
        network: z.strictObject({
          received: bytes('received since the start'),
          sent: bytes('sent since the start'),
        }),
        block: z.strictObject({
          read: bytes('read from disks since the start'),
          written: bytes('written to disks since the start'),
        }),
        pids: count('number of processes'),
      }),
    ),
  },
  {
    id: 'events',
    commands: ['events', 'system events'],
    form: 'object per line',
    schema: z.looseObject({
      machine: machineName,
      Type: text('`container`, `image` and others'),
      Action: text('`start`, `die` and others'),
      Actor: z.looseObject({ ID: text('ID of the object'), Attributes: pairs('its attributes') }),
      time: count('Unix time, in seconds'),
      timeNano: count('Unix time, in nanoseconds'),
    } satisfies Record<keyof EngineEvent | 'machine', z.ZodType>),
    note: 'The event as the Engine API sends it, which can have more fields.',
  },
  {
    id: 'containerInspect',
    commands: ['container inspect', 'image inspect', 'volume inspect', 'network inspect'],
    form: 'array',
    schema: z.array(z.looseObject(answering)),
    note: 'The objects of the Engine API.',
  },
  {
    id: 'images',
    commands: ['images', 'image ls'],
    form: 'array',
    schema: z.array(
      z.strictObject({
        ...answering,
        repository: text('repository, or `<none>`'),
        tag: text('tag, or `<none>`'),
        digest: text('digest in the registry').optional(),
        id: text('ID of the image'),
        created: time('when it was built'),
        size: bytes('size'),
      }),
    ),
  },
  {
    id: 'history',
    commands: ['history', 'image history'],
    form: 'array',
    schema: z.array(
      z.strictObject({
        ...answering,
        image: text('ID of the image after this step, or `<missing>`'),
        created: time('when the step was done'),
        createdBy: text('the step'),
        size: bytes('size of its layer'),
        comment: text('comment'),
      }),
    ),
  },
  {
    id: 'imageLayers',
    commands: ['image layers'],
    form: 'array',
    schema: z.array(
      z.strictObject({
        ...answering,
        image: text('image name or ID'),
        layer: text('digest of the layer'),
        size: bytes('size, if it is known').optional(),
        sharedWith: texts('other images that have the layer'),
        createdBy: text('the step that created it, if it is known').optional(),
      }),
    ),
  },
  {
    id: 'imageCopy',
    commands: ['image copy'],
    form: 'array',
    schema: z.array(
      fieldsOf<ImageCopy & { machine: string }>()({
        machine: machineName,
        bytes: bytes('data that was sent'),
        sent: count('number of layers that were sent'),
        layers: count('number of all layers'),
      }),
    ),
  },
  {
    id: 'df',
    commands: ['df', 'system df'],
    form: 'array',
    schema: z.array(
      fieldsOf<DiskUsageRow & { machine?: string }>()({
        ...answering,
        kind: z.enum(['images', 'containers', 'volumes', 'build cache']),
        total: count('number of objects'),
        active: count('number of objects in use'),
        size: bytes('size'),
        reclaimable: bytes('size of the objects that are not in use'),
      }),
    ),
  },
]

const volumesAndNetworks: readonly JsonOutput[] = [
  {
    id: 'volumeLs',
    commands: ['volume ls'],
    form: 'array',
    schema: z.array(
      z.strictObject({
        ...answering,
        name: text('name of the volume'),
        driver: text('driver of the volume'),
        scope: text('`local` or `global`'),
        mountpoint: text('folder on the host'),
        created: time('when it was created, if the driver reports it').optional(),
        labels: pairs('labels of the volume'),
      }),
    ),
  },
  {
    id: 'networkLs',
    commands: ['network ls'],
    form: 'array',
    schema: z.array(
      z.strictObject({
        ...answering,
        id: text('ID of the network'),
        name: text('name of the network'),
        driver: text('`bridge`, `overlay` and others'),
        scope: text('`local`, `global` or `swarm`'),
        internal: flag('whether the network has no access to others'),
        subnets: texts('subnets, as CIDR ranges'),
        created: time('when it was created').optional(),
        labels: pairs('labels of the network'),
      }),
    ),
  },
  {
    id: 'removed',
    commands: ['volume rm', 'network rm'],
    form: 'array',
    schema: z.array(fieldsOf<Removed>()({ ...answering, name: text('name, as you typed it') })),
    note: 'The volumes or networks that were removed.',
  },
  {
    id: 'prune',
    commands: ['volume prune', 'network prune', 'system prune'],
    form: 'array',
    schema: z.array(
      fieldsOf<Pruned & { machine?: string }>()({
        ...answering,
        kind: z.enum(['containers', 'networks', 'volumes', 'images', 'build cache']),
        removed: texts('names or IDs; for images, also the names that were removed'),
        reclaimed: bytes('space that was freed'),
      }),
    ),
  },
]

const stackName = text('name of the stack')

const stacks: readonly JsonOutput[] = [
  { id: 'deploy', commands: ['deploy'], form: 'array', schema: z.array(deployed) },
  {
    id: 'stackLs',
    commands: ['stack ls'],
    form: 'array',
    schema: z.array(
      fieldsOf<StackOnMachine>()({
        stack: stackName,
        machine: machineName,
        swarm: text(
          'name of the swarm, if it is on one; the machine is then a manager of the swarm',
        ).optional(),
        state: z
          .enum(['deployed', 'degraded', 'failed', 'deploying', 'unmanaged', 'not-deployed'])
          .describe(
            '`degraded`: a container is not running or is unhealthy; `failed`: the last deployment failed; `deploying`: the deployment has not ended, or was interrupted; `unmanaged`: fleet did not deploy the containers',
          ),
        selected: flag('whether the inventory deploys the stack on this machine'),
        release: count('number of the current release').optional(),
        by: text('who deployed it').optional(),
        at: time('when it was deployed').optional(),
        commit: text('the git commit that it was deployed from').optional(),
        running: count('number of running containers'),
        containers: count('number of containers'),
        reason: text('why the last deployment failed').optional(),
      }),
    ),
    note: 'One object for each stack and machine.',
  },
  {
    id: 'stackPs',
    commands: ['stack ps'],
    form: 'array',
    schema: z.array(
      fieldsOf<StackContainerRow>()({
        machine: machineName,
        stack: stackName,
        service: text('name of the service'),
        id: text('ID of the container'),
        name: text('name of the container'),
        image: text('image that it was created from'),
        state: text('`running`, `exited` and others'),
        status: text('state as text, such as `Up 3 minutes (healthy)`'),
        ports: z.array(port).describe('ports, as in the Engine API'),
      }),
    ),
  },
  {
    id: 'stackLogs',
    commands: ['stack logs'],
    form: 'object per line',
    schema: logLine,
    note: 'One object for each line, as `logs` prints them.',
  },
  {
    id: 'stackRollback',
    commands: ['stack rollback'],
    form: 'array',
    schema: z.array(
      fieldsOf<RolledBack>()({
        machine: machineName,
        stack: stackName,
        from: count('number of the previous release, if there was one').optional(),
        release: count('number of the release that was restored'),
      }),
    ),
  },
  {
    id: 'stackAdopt',
    commands: ['stack adopt'],
    form: 'array',
    schema: z.array(
      fieldsOf<AdoptedStack>()({
        machine: machineName,
        stack: stackName,
        release: count('number of the release that was recorded'),
        services: texts('services of the project'),
        differing: texts('services whose containers differ from the Compose file on the host'),
        mounts: texts('files and folders of the project on the host that containers mount'),
      }),
    ),
  },
  {
    id: 'stackRm',
    commands: ['stack rm'],
    form: 'array',
    schema: z.array(
      fieldsOf<RemovedStack>()({
        machine: machineName,
        stack: stackName,
        containers: count('number of containers that were removed'),
        services: texts('services that were removed from a swarm').optional(),
        networks: texts('networks that were removed'),
        volumes: texts('volumes that were removed'),
        keptVolumes: texts('volumes that still exist'),
        keptFiles: text('folder on the host with files that containers wrote').optional(),
      }),
    ),
  },
]

const storedLogin = fieldsOf<StoredLogin & { machine?: string }>()({
  ...answering,
  registry: text('the registry, as in the Docker configuration'),
  user: text('user name for the registry').optional(),
  file: text('Docker configuration file on the host'),
  helper: text(
    'credential helper that stores the password; absent if the password is in the file',
  ).optional(),
})

const registries: readonly JsonOutput[] = [
  {
    id: 'registryLs',
    commands: ['registry ls', 'registry login'],
    form: 'array',
    schema: z.union([
      z.array(storedLogin),
      z.array(z.strictObject({ repository: text('name of a repository in the registry') })),
    ]),
    note: 'The logins of the machines, without passwords; for `registry ls HOST`, the repositories.',
  },
  {
    id: 'registryTags',
    commands: ['registry tags'],
    form: 'array',
    schema: z.array(z.strictObject({ tag: text('the tag') })),
  },
  {
    id: 'registryLogout',
    commands: ['registry logout'],
    form: 'array',
    schema: z.array(
      fieldsOf<LoggedOut & { machine?: string }>()({
        ...answering,
        registry: text('the registry, as in the Docker configuration'),
        file: text('Docker configuration file on the host'),
        removed: flag('whether there was a login'),
      }),
    ),
  },
]

const forwardStatus = fieldsOf<ForwardStatus>()({
  local: text('local address and port, such as `127.0.0.1:8080`, or the path of a local socket'),
  machine: machineName,
  container: text('container or Compose service; absent for a port of the host').optional(),
  port: count('port of the container or the host'),
  connections: count('number of open connections'),
  error: z
    .strictObject({ message: text('the reason'), at: time('when it happened') })
    .optional()
    .describe('why the last connection failed, or why the local port is not open'),
})

const own: readonly JsonOutput[] = [
  {
    id: 'contextSync',
    commands: ['context sync'],
    form: 'array',
    schema: z.array(
      fieldsOf<SyncedContext>()({
        name: text('name of the context'),
        state: z
          .enum(['written', 'removed', 'taken', 'impossible'])
          .describe(
            '`taken`: the name belongs to another context; `impossible`: Docker does not accept the name',
          ),
        host: text('endpoint of the context; absent if the name is impossible').optional(),
      }),
    ),
  },
  {
    id: 'brokerStatus',
    commands: ['broker status'],
    form: 'object',
    schema: fieldsOf<BrokerStatus>()({
      pid: count('process ID; absent if the broker is not running').optional(),
      started: time('when it was started').optional(),
      hosts: z.array(
        fieldsOf<HostStatus>()({
          machine: machineName,
          user: text('user that fleet logged in as'),
          address: text('address of the host'),
          port: count('SSH port'),
          state: z.enum(['connected', 'connecting', 'closed']),
          uses: count('number of commands and streams that use the connection'),
        }),
      ),
      sockets: z.array(
        fieldsOf<SocketStatus>()({
          machine: machineName,
          path: text('path of the socket'),
          context: flag('whether a Docker context uses it'),
          holders: z.array(z.number()).describe('IDs of the processes that keep it open'),
        }),
      ),
      forwards: z.array(forwardStatus),
    }),
  },
  {
    id: 'forwardLs',
    commands: ['forward ls'],
    form: 'array',
    schema: z.array(forwardStatus),
  },
  {
    id: 'trustAdd',
    commands: ['trust add'],
    form: 'array',
    schema: z.array(
      fieldsOf<TrustSubject>()({
        driver: text('name of the driver'),
        folder: text('folder of the package'),
        digest: text('digest of all its code'),
        version: text('version of the package').optional(),
        files: count('number of files'),
        dependencies: count('number of packages that it depends on'),
      }),
    ),
  },
  {
    id: 'trustAlias',
    commands: ['trust alias'],
    form: 'array',
    schema: z.array(z.string()),
    note: 'The SSH aliases of the machines, which are now trusted.',
  },
  {
    id: 'trustInventory',
    commands: ['trust inventory'],
    form: 'object',
    schema: z.strictObject({ inventory: text('path of the inventory') }),
  },
  {
    id: 'trustLs',
    commands: ['trust ls'],
    form: 'array',
    schema: z.array(
      z.strictObject({
        inventory: text('path of the inventory'),
        driver: text('name of a trusted driver').optional(),
        path: text('path that machines may use').optional(),
        alias: text('trusted alias in the SSH configuration').optional(),
        variable: text('shell variable that a stack may use').optional(),
        stack: text('the stack that may use the variable').optional(),
        version: text('version of the driver').optional(),
        digest: text('digest of the driver').optional(),
      }),
    ),
  },
  {
    id: 'trustRm',
    commands: ['trust rm'],
    form: 'array',
    schema: z.array(z.string()),
    note: 'The names that are no longer trusted.',
  },
  {
    id: 'cacheLs',
    commands: ['cache ls'],
    form: 'array',
    schema: z.array(
      fieldsOf<CachedImage>()({
        key: text('key of the image, for `fleet cache rm`'),
        label: text('name and architecture, or URL'),
        url: text('where it was downloaded from'),
        digest: text('digest of the image'),
        bytes: bytes('size'),
        since: time('when it was downloaded'),
        path: text('path of the file'),
      }),
    ),
  },
]

const kinds = Object.keys(exitCodes).filter((kind): kind is ErrorKind => kind !== 'ok')

const progressOf = (event: z.ZodType) =>
  z.strictObject({
    event,
    machine: text('name of the machine, if the work is for one machine').optional(),
    task: text('the work, if it is not for one machine').optional(),
    step: text('the step').optional(),
    detail: text('detail of the step').optional(),
    seconds: count('duration of the step; for `ended` and `failed`, of all steps'),
    time: time('when the line was written'),
  })

const messages: readonly JsonOutput[] = [
  {
    id: 'error',
    commands: [],
    form: 'object per line',
    schema: z.strictObject({
      machine: text('name of the machine, if several were selected').optional(),
      error: z.strictObject({
        kind: z.enum(kinds).describe('the kind, which determines the exit code'),
        message: text('what failed, and why'),
        machine: text('the machine that failed').optional(),
        hint: text('the next step').optional(),
      }),
    }),
  },
  {
    id: 'progress',
    commands: [],
    form: 'object per line',
    schema: progressOf(
      z
        .enum(['step', 'ended', 'failed'])
        .describe(
          '`step`: a step has begun or continues; `ended`, `failed`: the work on the machine has ended',
        ),
    ),
  },
  {
    id: 'planEvent',
    commands: [],
    form: 'object per line',
    schema: z.union([
      z.strictObject({
        event: z.literal('plan').describe('the changes that are about to be made'),
        machine: machineName,
        changes: texts('the changes to be made on the machine'),
      }),
      z.strictObject({ event: z.literal('plan'), ...planFields }),
      z.strictObject({ event: z.literal('plan'), deployments: z.array(deployment), issues }),
    ]),
    note: 'Printed by `provision`, `create`, `rm --on` and `forget --on` for each machine. `apply` and `deploy` print the whole plan with `event` as its first field.',
  },
  {
    id: 'grantEvent',
    commands: [],
    form: 'object per line',
    schema: z.strictObject({
      event: z
        .literal('grant')
        .describe('resources on this computer that new machines may use (`create`)'),
      machines: texts('names of the machines'),
      what: text('the file, folder or network'),
    }),
  },
]

const swarmName = text('name of the swarm')

const swarms: readonly JsonOutput[] = [
  {
    id: 'swarmLs',
    commands: ['swarm ls'],
    form: 'array',
    schema: z.array(
      fieldsOf<SwarmSummary>()({
        swarm: swarmName,
        id: text('ID of the cluster').optional(),
        state: z
          .enum(['healthy', 'degraded', 'no-leader', 'unreachable', 'unknown', 'not-initialized'])
          .describe(
            '`degraded`: a node is not ready or a manager not reachable; `no-leader`: most managers are not reachable; `unreachable`: no manager answers; `unknown`: no machine is in the cluster',
          ),
        managers: count('number of managers'),
        reachableManagers: count('number of managers that are reachable'),
        nodes: count('number of nodes; 0 if no manager answers'),
        readyNodes: count('number of nodes that are ready'),
      }),
    ),
  },
  {
    id: 'swarmStatus',
    commands: ['swarm status'],
    form: 'array',
    schema: z.array(
      fieldsOf<SwarmNodeState>()({
        swarm: swarmName,
        node: text('ID of the node'),
        machine: text('name of the machine; absent if the node belongs to no machine').optional(),
        hostname: text('name of the host, as it reports it'),
        role: text('`manager` or `worker`'),
        state: text('`ready`, `down`, `disconnected` or `unknown`'),
        availability: text('`active`, `pause` or `drain`'),
        reachability: text('for managers: `reachable`, `unreachable` or `unknown`').optional(),
        leader: flag('whether it is the leader of the managers'),
        address: text('address at which other nodes reach it'),
        engine: text('version of its engine'),
        labels: z.record(z.string(), z.string()).describe('node labels'),
      }),
    ),
    note: 'One object for each node.',
  },
  {
    id: 'serviceLs',
    commands: ['service ls'],
    form: 'array',
    schema: z.array(
      fieldsOf<ServiceRow>()({
        swarm: swarmName,
        service: text('name of the service'),
        id: text('ID of the service'),
        stack: text('name of its stack').optional(),
        mode: z.enum(['replicated', 'global', 'replicated-job', 'global-job']),
        running: count('number of running tasks; for jobs, completed tasks'),
        desired: count('number of tasks that should run; for jobs, tasks that should complete'),
        image: text('image of its containers'),
        ports: texts('published ports, such as `8080->80/tcp`'),
        update: text(
          'state of its last update: `updating`, `paused`, `completed`, `rollback_started`, `rollback_paused` or `rollback_completed`',
        ).optional(),
        updatedAt: time('when it was changed'),
      }),
    ),
  },
  {
    id: 'servicePs',
    commands: ['service ps'],
    form: 'array',
    schema: z.array(
      fieldsOf<TaskRow>()({
        swarm: swarmName,
        service: text('name of the service'),
        task: text('name of the task: of its service and slot, or of its service and machine'),
        id: text('ID of the task'),
        machine: text('name of the machine').optional(),
        node: text('ID of the node').optional(),
        state: text(
          '`pending`, `preparing`, `running`, `complete`, `failed`, `rejected` and so on',
        ),
        desired: text('the state that it should have: `ready`, `running`, `shutdown` and so on'),
        since: time('when it got its state'),
        error: text('why it failed, or cannot run yet').optional(),
        exitCode: count('exit code of its container').optional(),
        image: text('image of its container'),
        container: text('ID of its container').optional(),
      }),
    ),
  },
  {
    id: 'serviceLogs',
    commands: ['service logs'],
    form: 'object per line',
    schema: logLine,
    note: 'One object for each line, as `logs` prints them.',
  },
  {
    id: 'serviceChanges',
    commands: ['service scale', 'service update', 'service rollback'],
    form: 'array',
    schema: z.array(
      fieldsOf<ChangedService>()({
        swarm: swarmName,
        service: text('name of the service'),
        state: z
          .enum(['converged', 'detached'])
          .describe('`converged`: all of its tasks are running; `detached`: with `--detach`'),
        running: count('number of running tasks').optional(),
        desired: count('number of tasks that should run').optional(),
      }),
    ),
  },
  {
    id: 'swarmCheck',
    commands: ['swarm check'],
    form: 'array',
    schema: z.array(
      fieldsOf<PortProblem>()({
        swarm: swarmName,
        from: text('name of the machine that cannot connect'),
        to: text('name of the machine on which the port must be open'),
        address: text('IP address of that machine'),
        port: count('TCP port'),
        state: z
          .enum(['closed', 'blocked', 'unknown'])
          .describe(
            '`closed`: nothing is listening on the port; `blocked`: no answer; `unknown`: the SSH server of the first machine does not forward connections',
          ),
      }),
    ),
    note: 'One object for each connection that does not work.',
  },
  {
    id: 'swarmUnlock',
    commands: ['swarm unlock'],
    form: 'array',
    schema: z.array(
      fieldsOf<Unlocked>()({ swarm: swarmName, machine: text('name of the unlocked manager') }),
    ),
  },
  {
    id: 'swarmRecover',
    commands: ['swarm recover'],
    form: 'object',
    schema: fieldsOf<Recovered>()({
      swarm: swarmName,
      manager: text('name of the only manager'),
      removed: texts('hosts whose nodes were removed'),
    }),
  },
  {
    id: 'swarmRotate',
    commands: ['swarm rotate'],
    form: 'object',
    schema: fieldsOf<Rotated>()({
      swarm: swarmName,
      rotated: z
        .array(z.enum(['join tokens', 'unlock key', 'certificates']))
        .describe('the secrets that were replaced'),
    }),
  },
]

/** All outputs, by section of docs/json-output.md. */
export const jsonOutputs: readonly {
  readonly title: string
  readonly outputs: readonly JsonOutput[]
}[] = [
  { title: 'Machines', outputs: machines },
  { title: 'Inventory', outputs: inventory },
  { title: 'Stacks', outputs: stacks },
  { title: 'Swarms', outputs: swarms },
  {
    title: 'Containers, images, volumes and networks',
    outputs: [...containers, ...volumesAndNetworks],
  },
  { title: 'Registries', outputs: registries },
  { title: 'fleet itself', outputs: own },
  { title: 'Messages on stderr', outputs: messages },
]
