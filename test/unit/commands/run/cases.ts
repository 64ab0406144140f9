import { exitCodes } from '../../../../src/errors.ts'
import { computerChecks, machineChecks } from '../../../../src/operations/doctor/check.ts'

/** A command line and its expected result. */
export interface Case {
  /**
   * Words, separated by spaces. `&&` separates command lines, of which only the last is checked. Placeholders:
   * `{port}` is the SSH port of web-1, `{registry}` the address of a registry, `{folder}` the working directory, and
   * `{key}` and `{key2}` the host keys of web-1 and web-2.
   */
  readonly line: string
  readonly code: number
  /** Pattern that the output (stdout and stderr) must match. */
  readonly prints?: RegExp
  /** Value that the JSON on stdout must match; the output may have other fields. */
  readonly json?: object
  /** Contents of additional files, keyed by path in the working directory. */
  readonly files?: Readonly<Record<string, string>>
  /** Standard input of the last command line. */
  readonly input?: string
  /** Whether PATH includes this computer's programs and `files`. If so, the case is skipped on Windows. */
  readonly programs?: boolean
  /** Whether web-1 runs commands in a shell on this computer. */
  readonly shell?: boolean
}

type More = Pick<Case, 'files' | 'input' | 'programs' | 'shell'>

const ok = (line: string, prints: RegExp, more: More = {}): Case => ({
  ...{ line, code: 0, prints },
  ...more,
})
const json = (line: string, shape: object, more: More = {}): Case => ({
  ...{ line: `${line} --json`, code: 0, json: shape },
  ...more,
})
const fails = (line: string, code: number, prints: RegExp, more: More = {}): Case => ({
  ...{ line, code, prints },
  ...more,
})
const { usage, failed, unsupported, unreachable, inventory, 'unknown-machine': missing } = exitCodes

/** All checks of this computer, then all checks of web-1. */
const allChecks = [
  ...computerChecks.map((check) => ({ check })),
  ...machineChecks.map((check) => ({ machine: 'web-1', check })),
]

const unknown = (command: string): Case => fails(`${command} nowhere`, missing, /nowhere/)

const ansible = {
  'ansible-inventory': `#!/bin/sh
echo '{"_meta": {"hostvars": {"again": {"ansible_host": "127.0.0.1", "ansible_port": {port}, "ansible_user": "root"}}}, "all": {"children": ["web"]}, "web": {"hosts": ["again"]}}'
`,
  'hosts.ini': '[web]\nagain ansible_host=127.0.0.1 ansible_port={port} ansible_user=root\n',
}
const instance = {
  ...{ id: 'i-0abc1234567890abc', public_ip: '127.0.0.1', instance_state: 'running' },
  ...{ arn: 'arn:aws:ec2:eu-west-3:852350637351:instance/i-0abc1234567890abc', tags: {} },
}
const terraform = {
  'state.json': JSON.stringify({
    ...{ version: 4, terraform_version: '1.9.0', serial: 1, lineage: 'x', outputs: {} },
    resources: [
      {
        ...{ mode: 'managed', type: 'aws_instance', name: 'again', provider: 'provider["aws"]' },
        instances: [{ schema_version: 1, attributes: instance }],
      },
    ],
  }),
}
const dockerMachine = {
  'machines/again/config.json': JSON.stringify({
    ...{ ConfigVersion: 3, Name: 'again', DriverName: 'generic' },
    Driver: {
      ...{ IPAddress: '127.0.0.1', MachineName: 'again', SSHUser: 'root', SSHPort: 22 },
      ...{ SSHKeyPath: '', StorePath: '', SSHKey: '', EnginePort: 2376 },
    },
    HostOptions: { EngineOptions: { Labels: ['spam=eggs'], InstallURL: 'https://get.docker.com' } },
  }),
}
/** Returns an inventory in which web-1 has these engine settings. */
const engineSettings = (engine: string): Record<string, string> => ({
  'machines.yaml': `version: 1
id: 0123abcd
machines:
  web-1:
    driver: ssh
    options: { address: 127.0.0.1, port: {port}, user: root }
    engine: ${engine}
    host: { phase: ready, address: 127.0.0.1, port: {port}, user: root, hostKeys: ["{key}"] }
`,
})
/** An inventory that lists the host key of web-2 for web-1. */
const otherKey = {
  'machines.yaml': `version: 1
id: 0123abcd
machines:
  web-1:
    driver: ssh
    options: { address: 127.0.0.1, port: {port}, user: root }
    host: { phase: ready, address: 127.0.0.1, port: {port}, user: root, hostKeys: ["{key2}"] }
`,
}
/** An inventory with handwritten machines whose hosts exist. */
const written = {
  files: {
    'written.yaml': `version: 1
id: 0123abcd
machines:
  hub: { driver: ssh, options: { address: 127.0.0.1, port: {port}, user: root } }
  web: { driver: ssh, via: hub, options: { address: 192.0.2.1 } }
  laptop: { driver: local }
`,
  },
}
/** An inventory with profiles whose machines do not exist yet. */
const counted = {
  files: {
    'counted.yaml': `version: 1
id: 0123abcd
profiles:
  web: { driver: ssh, count: 2 }
  db: { driver: qemu, count: 1 }
machines: {}
`,
  },
}
const branches = Object.fromEntries(
  ['base', 'ours', 'theirs'].map((name) => [
    `${name}.yaml`,
    `version: 1\nid: 0123abcd\nmachines:\n  ${name}: { driver: ssh, options: { address: 192.0.2.1 } }\n`,
  ]),
)
const sshConfig = { config: 'Host again\n  HostName 127.0.0.1\n  Port {port}\n  User root\n' }

/** An inventory without machines. */
const empty = { files: { 'empty.yaml': 'version: 1\nid: 0123abcd\nmachines: {}\n' } }
const addMachine = /create a machine with fleet create, or add an existing host with fleet adopt/

/** An inventory with a single swarm. */
const oneSwarm = {
  files: {
    'service.yaml': `version: 1
id: 0123abcd
swarms:
  prod: { managers: web-1, id: ${'c'.repeat(25)} }
machines:
  web-1:
    driver: ssh
    options: { address: 127.0.0.1, port: {port}, user: root }
    host: { phase: ready, address: 127.0.0.1, port: {port}, user: root, hostKeys: ["{key}"] }
  web-2:
    driver: ssh
    options: { address: 127.0.0.1, port: {port}, user: root }
    host: { phase: ready, address: 127.0.0.1, port: {port}, user: root, hostKeys: ["{key}"] }
`,
  },
}

/** An inventory with a stack on its only swarm. */
const onSwarm = {
  files: {
    'service.yaml': `${oneSwarm.files['service.yaml']}stacks:
  shop: { compose: shop/compose.yaml, swarm: prod }
`,
  },
}

/** A Compose project, and a fake docker that resolves it. */
const shopProject = {
  programs: true,
  files: {
    'shop/compose.yaml': 'services: { web: { image: nginx } }',
    docker: `#!/bin/sh
case "$*" in
*version*) echo 2.40.3 ;;
*--hash*) echo web ${'0'.repeat(64)} ;;
*) echo '{"name": "shop", "services": {"web": {"image": "nginx:1.27"}}}' ;;
esac
`,
  },
}
/** The Compose project with an env_file outside the directory of the inventory. */
const takesMore = {
  programs: true,
  files: {
    ...shopProject.files,
    'shop/compose.yaml': 'services: { web: { image: nginx, env_file: ../../secret.env } }',
    '../secret.env': 'TOKEN=t',
  },
}
const plannedDeployment =
  /~ shop on web-1, web-2\n\s+recreate web \(the configuration has changed\)[^]*1 stack to deploy on 2 machines[^]*--yes/

const lists = {
  ps: (ps: string) => [
    ok(`${ps} --on role=web`, /^web-1\t.*nginx:1\.27.*\nweb-2\t/),
    json(`${ps} --on role=web`, [
      { machine: 'web-1', name: 'app' },
      { machine: 'web-2', name: 'app' },
    ]),
    ok(`${ps} -m web-1 --format {{.Names}}:{{.Image}}`, /^app:nginx:1\.27\n$/),
    fails(`${ps} --on role=web --format {{.Names}} -q`, usage, /cannot be combined/),
    fails(`${ps} --machine nowhere`, missing, /nowhere/),
  ],
  images: (images: string) => [
    ok(`${images} --machine web-1`, /^nginx\t1\.27\t/),
    json(`${images} --machine web-1`, [{ machine: 'web-1', repository: 'nginx' }]),
    fails(`${images} --machine nowhere`, missing, /nowhere/),
  ],
  history: (history: string) => [
    ok(`${history} nginx:1.27 --machine web-1`, /COPY site/),
    json(`${history} nginx:1.27 --machine web-1`, [{ machine: 'web-1' }]),
    fails(`${history} nginx:9 --machine web-1`, failed, /No such image/),
  ],
  logs: (logs: string) => [
    ok(`${logs} app --machine web-1`, /^hello from nginx$/m),
    { ...json(`${logs} app --machine web-1`, { machine: 'web-1', line: 'hello from nginx' }) },
    fails(`${logs} nowhere --machine web-1`, failed, /nowhere/),
    ok(`${logs} --find web --on web-2`, /^hello from nginx$/m),
    fails(`${logs} --find web`, usage, /3 containers match "web"[^]*web-1\/app \(running\)/),
    fails(`${logs} --find wep --on web-2`, failed, /did you mean "web"\?/),
    fails(`${logs} --find web-1/app`, usage, /includes a machine name/),
  ],
  events: (events: string) => [
    ok(`${events} --since 1h --until 1m --machine web-1`, /container start app/),
    json(`${events} --since 1h --until 1m --machine web-1`, { machine: 'web-1' }),
    fails(`${events} --since never --machine web-1`, usage, /never/),
  ],
  df: (df: string) => [
    ok(`${df} --machine web-1`, /^images\t1\t1\t50MB/),
    json(`${df} --machine web-1`, [{ machine: 'web-1' }, {}, {}, {}]),
    fails(`${df} --machine nowhere`, missing, /nowhere/),
  ],
  stats: (stats: string) => [
    ok(`${stats} app --no-stream --machine web-1`, /^app\t20\.00\t/),
    json(`${stats} app --no-stream --machine web-1`, [{ machine: 'web-1', name: 'app' }]),
    fails(`${stats} nowhere --no-stream --machine web-1`, failed, /nowhere/),
  ],
}

/** Cases for every command that is not passed to docker, keyed by the name of the command. */
export const cases: Readonly<Record<string, readonly Case[]>> = {
  init: [
    ok(
      'init sub --yes',
      /machines\.yaml[^]*\nonce the directory is in a git repository, run: fleet merge --install --inventory \S+sub\/machines\.yaml\n/,
    ),
    json('init sub --yes', {}),
    fails('init', inventory, /machines\.yaml/),
  ],
  check: [
    fails('check --inventory service.yaml', inventory, /no swarm called "test"/, {
      files: {
        'service.yaml': onSwarm.files['service.yaml'].replace('swarm: prod', 'swarm: test'),
      },
    }),
    fails('check --inventory service.yaml', inventory, /either "on" or "swarm"/, {
      files: { 'service.yaml': onSwarm.files['service.yaml'].replace('swarm: prod', 'wait: 9') },
    }),
    ok('check', /no problems found/),
    json('check', { machines: 4 }),
    fails('check', inventory, /machines: expected a mapping/, {
      files: { 'machines.yaml': 'version: 1\nmachines: []' },
    }),
  ],
  merge: [
    ok('merge base.yaml ours.yaml theirs.yaml', /^$/, { files: branches }),
    json('merge base.yaml ours.yaml theirs.yaml', { conflicts: [] }, { files: branches }),
    fails('merge', unsupported, /git/),
    fails('merge --install', inventory, /is not in a git repository/),
  ],
  create: [
    ok('create new-1', /new-1/),
    json('create extra-1 --driver fake', { driver: 'fake' }),
    json('create extra-1 --driver fake --share site', { driver: 'fake' }),
    fails('create web-1 --driver fake', usage, /web-1/),
    fails('create extra-1 --driver fake --engine-install-url https://x', usage, /--engine-channel/),
    fails('create extra-1 --driver fake --engine-opt host=tcp://x', usage, /TCP port/),
    fails('create extra-1 --driver fake --engine-env A', usage, /not KEY=VALUE/),
    fails('create extra-1 --driver fake --no-engine --engine-label a=b', usage, /--no-engine/),
    fails('create extra-1 --driver fakes', usage, /unknown driver "fakes"/),
    fails(
      'create web --inventory written.yaml',
      usage,
      /jump host hub, which has not been adopted yet\n.*: fleet apply --on hub/,
      written,
    ),
  ],
  adopt: [
    ok('forget web-1 --yes && adopt root@127.0.0.1:{port} --name again --accept-new', /again/),
    json('forget web-1 --yes && adopt root@127.0.0.1:{port} --name again --accept-new', {}),
    fails('adopt root@127.0.0.1:{port} --name again --accept-new', usage, /web-1/),
  ],
  'import ansible': [
    ok('forget web-1 --yes && import ansible hosts.ini --accept-new', /again/, {
      ...{ files: ansible, programs: true },
    }),
    json('forget web-1 --yes && import ansible hosts.ini --accept-new', [{ name: 'again' }], {
      ...{ files: ansible, programs: true },
    }),
    fails('import ansible nowhere', usage, /nowhere/),
  ],
  'import ssh-config': [
    ok('forget web-1 --yes && import ssh-config config --accept-new', /again/, {
      ...{ files: sshConfig, programs: true },
    }),
    json('forget web-1 --yes && import ssh-config config --accept-new', [{ name: 'again' }], {
      ...{ files: sshConfig, programs: true },
    }),
    fails('import ssh-config nowhere', usage, /nowhere/),
  ],
  'import terraform': [
    ok('import terraform state.json --dry-run', /again/, { files: terraform }),
    json('import terraform state.json --dry-run', {}, { files: terraform }),
    fails('import terraform nowhere', usage, /nowhere/),
  ],
  'import docker-machine': [
    ok('import docker-machine . --dry-run', /again: not imported: --engine-label spam=eggs; the/, {
      files: dockerMachine,
    }),
    json('import docker-machine . --dry-run', {}, { files: dockerMachine }),
    fails('import docker-machine nowhere', usage, /no Docker Machine hosts/),
  ],
  provision: [
    ok('provision web-1', /nothing to change/),
    ok('provision web-2 web-1', /web-2: nothing to change\nweb-1: nothing/),
    json('provision web-1', {}),
    unknown('provision'),
  ],
  upgrade: [
    ok('upgrade web-1 --yes', /web-1: Docker 27\.5\.1 is already the newest version/),
    json('upgrade web-1', [{ name: 'web-1', from: '27.5.1', to: '27.5.1' }]),
    fails('upgrade web-1 --to latest', usage, /not a Docker version/),
    fails('upgrade web-1 --batch 0', usage, /at least 1/),
    unknown('upgrade'),
  ],
  ls: [
    ok('ls', /^web-1\t.*\nweb-2\t.*\ndb-1\t.*\nnew-1\t.*not-created\n$/),
    json('ls', [{ name: 'web-1' }, { name: 'web-2' }, { name: 'db-1' }, { name: 'new-1' }]),
    fails('ls --on nowhere', missing, /nowhere/),
    ok('ls -f driver=fake -f name=db-*', /^db-1\t.*\n$/),
    ok('ls --filter name=b-1 --format {{.name}}', /^web-1\ndb-1\n$/),
    ok(
      'ls --filter label=role=web --format {{.Name}}:{{.labels.role}}',
      /^web-1:web\nweb-2:web\n$/,
    ),
    ok('ls --filter state=Paused', /^$/),
    fails('ls --filter role=web', usage, /is not a valid filter/),
    fails('ls --format {{.name', usage, /has no/),
    fails('ls --json --format {{.name}}', usage, /cannot be combined/),
    json('ls --on state=not-created', [{ name: 'new-1' }]),
    json('ls --on state=running,state=not-created --on role!=web', [{}, { name: 'new-1' }]),
    json('ls --on !web-*,!db-1', [{ name: 'new-1' }]),
    fails('ls --on state=paused', missing, /no machine matches state=paused/),
    fails('ls --on state=Running', usage, /did you mean state=running/),
    ok('ls --inventory empty.yaml', addMachine, empty),
    ok('ls --inventory empty.yaml -q', /^$/, empty),
    json('ls --inventory empty.yaml', [], empty),
  ],
  doctor: [
    fails(
      'doctor new-1',
      failed,
      /^host\tfail\tthe machine has not been created yet\tto set up the machine: fleet create new-1/m,
    ),
    ok('doctor web-1', /^engine\tok\tDocker 27\.5\.1 is running/m, { shell: true }),
    json('doctor web-1', allChecks, { shell: true }),
    unknown('doctor'),
    fails('doctor web-1 --all', usage, /not both/),
  ],
  status: [
    ok('status web-1', /^web-1\trunning\t27\.5\.1\t/),
    ok('status -q web-1', /^running\n$/),
    ok('status --format {{.engine}} --on role=web', /^27\.5\.1\n27\.5\.1\n$/),
    json('status web-1', [{ machine: 'web-1', state: 'running' }]),
    fails('status', usage, /none is active\n.*fleet use NAME/),
    fails('status --inventory empty.yaml', missing, addMachine, empty),
    unknown('status'),
  ],
  inspect: [
    ok('inspect db-1', /id: fake-db-1/),
    ok('inspect --format {{.host.id}} db-1', /^fake-db-1\n$/),
    fails('inspect --format {{.name}} nowhere', missing, /^fleet: there is no machine/),
    json('inspect db-1', [{ name: 'db-1' }]),
    unknown('inspect'),
  ],
  use: [
    ok('use web-1', /web-1 is now the active machine/),
    json('use web-1', { name: 'web-1' }),
    unknown('use'),
    fails('use web-1 --inventory empty.yaml', missing, addMachine, empty),
  ],
  active: [
    ok('use web-1 && active', /^web-1$/m),
    json('use web-1 && active', { name: 'web-1' }),
    fails('active', missing, /no machine/),
    fails('active --inventory empty.yaml', missing, addMachine, empty),
  ],
  ip: [
    ok('ip web-1', /^127\.0\.0\.1$/m),
    json('ip web-1', [{ name: 'web-1', address: '127.0.0.1' }]),
    unknown('ip'),
    fails('ip new-1', unreachable, /has not been created yet\n.*: fleet create new-1/),
    fails('ip hub --inventory written.yaml', unreachable, /adopted yet\n.* --on hub/, written),
  ],
  label: [
    ok('label web-1 a=b', /^role=web\na=b$/m),
    json('label web-1 a=b', {}),
    fails('label web-1 =b', usage, /=b/),
  ],
  set: [
    ok('set web-1 engine=none', /engine: \(not set\) -> none/),
    json('set web-1 engine=none', {}),
    fails('set web-1 engines=none', usage, /engines/),
  ],
  allow: [
    ok('allow db-1', /./),
    json('allow db-1', {}),
    fails('allow web-1', unsupported, /firewall/),
  ],
  rename: [
    ok('rename web-1 web-9', /renamed web-1 to web-9/),
    fails('rename web-1 web-2', usage, /web-2/),
    fails('rename wbe-1 web-9', missing, /no machine called "wbe-1"\n.*web-1\?/),
    fails('rename web-1 web-2 --inventory empty.yaml', missing, addMachine, empty),
    fails(
      'rename db-1 db-9 --inventory counted.yaml',
      usage,
      /not been created yet.*\n.*fleet create db-9 --extends db/,
      counted,
    ),
    fails(
      'rename web-1 web-9 --inventory counted.yaml',
      usage,
      /not been adopted yet.*\n.*fleet adopt USER@HOST --name web-9/,
      counted,
    ),
  ],
  plan: [
    {
      ...json(
        'plan --on web-1 --inventory stacks.yaml',
        { deployments: [{ stack: 'shop', machine: 'web-1', services: [{ action: 'recreate' }] }] },
        shopProject,
      ),
      code: 2,
    },
    fails('plan --on web-1', 2, /web-1: operators \(authorize ana\)/),
    { line: 'plan --on web-1 --json', code: 2, json: {} },
    ok('plan --on web-1 --skip-hosts', /./),
    fails('plan --on nowhere', missing, /nowhere/),
    fails('plan --on new-1', 2, /new-1: create \(the host does not exist yet\)/),
    fails(
      'plan --inventory written.yaml',
      2,
      /hub: adopt \(the host has not been adopted yet\)[^]*laptop: adopt \(the host has not been adopted yet\)\n +uses the Docker engine on this computer\n/,
      written,
    ),
    fails('plan', 2, /web-1: engine-config \(labels not set -> \["a=b"\]; without a restart\)/, {
      files: engineSettings('{ config: { labels: [a=b] } }'),
    }),
    fails(
      'plan',
      2,
      /make all images and containers[^]*unavailable[^]*storage-driver not set -> vfs/,
      {
        files: engineSettings('{ config: { storage-driver: vfs } }'),
      },
    ),
    fails('apply --yes', failed, /confirmation is required to change engine settings/, {
      files: engineSettings('{ config: { storage-driver: vfs } }'),
    }),
    fails('plan', inventory, /a key other than hosts .* TCP port/, {
      files: engineSettings('{ config: { hosts: ["tcp://0.0.0.0:2375"] } }'),
    }),
    fails('plan', failed, /cannot read the certificate file certs\/no\.pem/, {
      files: engineSettings('{ registries: { "reg:5000": { ca: certs/no.pem } } }'),
    }),
    fails('plan', failed, /own\.pem contains no valid CA certificate/, {
      files: {
        ...engineSettings('{ registries: { "reg:5000": { ca: own.pem } } }'),
        'own.pem': '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n',
      },
    }),
  ],
  apply: [
    ok('apply --yes --on web-1', /applied changes to 1 of 1 machine\b/),
    json('apply --yes --on web-1', {}),
    fails('apply --on web-1', usage, /--yes/),
  ],
  deploy: [
    fails(
      'deploy --inventory service.yaml',
      usage,
      /shop on swarm prod\n +create web .*\n +remove web/,
      {
        ...shopProject,
        files: { ...shopProject.files, ...onSwarm.files },
      },
    ),
    ok('deploy shop --inventory stacks.yaml --on db-1', /nothing to do/),
    json('deploy shop --inventory stacks.yaml --on db-1', []),
    fails('deploy shop --inventory stacks.yaml', usage, plannedDeployment, shopProject),
    fails('apply --on web-1 --inventory stacks.yaml', usage, /deploy these stacks/, shopProject),
    fails(
      'deploy shop --yes --inventory stacks.yaml',
      usage,
      /shop: the file or directory .*secret\.env on this computer\n[^]*--allow-path/,
      takesMore,
    ),
    fails('deploy shpo --inventory stacks.yaml', usage, /"shpo" \(did you mean "shop"\?\)/),
    fails('deploy', usage, /no stacks/),
    fails(
      'deploy idle --inventory stacks.yaml',
      missing,
      /idle has no machines\s+the stack.s selector [^]*role=none/,
    ),
    fails('deploy --inventory stacks.yaml --allow-variable A=b', usage, /valid variable name/),
  ],
  refresh: [
    ok('refresh --on web-1', /^web-1\tengine\t\t27\.5\.1$/m),
    json('refresh --on web-1', [{ machine: 'web-1' }, {}, {}]),
    fails('refresh --on nowhere', missing, /nowhere/),
  ],
  'operator add': [
    ok('operator rm ana && operator add bob --key bob.pub', /bob/, {
      files: { 'bob.pub': '{key2}' },
    }),
    json(
      'operator rm ana && operator add bob --key bob.pub',
      {},
      { files: { 'bob.pub': '{key2}' } },
    ),
    fails('operator add bob --key nowhere', usage, /nowhere/),
    fails('operator add bob --key bob.pub --on state=stopped', usage, /states change/),
  ],
  'operator ls': [
    ok('operator ls', /^ana\tall\tSHA256:/),
    json('operator ls', [{ name: 'ana' }]),
    fails('operator ls ana', usage, /too many arguments/),
  ],
  'operator rm': [
    ok('operator rm ana', /removed operator ana/),
    fails('operator rm bob', usage, /bob/),
  ],
  ssh: [
    ok('ssh web-1 -- uptime', /^the host answers$/m),
    { line: 'ssh --json --on web-1 -- uptime', code: 0, json: { machine: 'web-1' } },
    fails('ssh web-1 -- nowhere', 7, /no such thing: nowhere/),
  ],
  'ssh-config': [
    ok('ssh-config', /^Host web-1 /m),
    fails('ssh-config nowhere', usage, /too many arguments/),
  ],
  'export ansible': [
    ok('export ansible --list', /web-1/),
    fails('export ansible nowhere', usage, /too many arguments/),
  ],
  'export terraform-import': [
    ok('export terraform-import', /without a provider ID: web-1/),
    fails('export terraform-import nowhere', usage, /too many arguments/),
  ],
  'export prometheus': [
    ok('export prometheus', /"127\.0\.0\.1:9100"/),
    fails('export prometheus nowhere', usage, /too many arguments/),
  ],
  'registry login': [
    ok(
      'registry login reg.example.com -u ana --password-stdin --on role=web',
      /^web-1\treg\.example\.com\tana\tdocker answers *$.*not encrypted/ms,
      { input: 'pull-token\n' },
    ),
    json(
      'registry login docker.io -u ana --password-stdin -m web-1',
      [{ registry: 'https://index.docker.io/v1/', user: 'ana' }],
      { input: 'pull-token' },
    ),
    fails('registry login reg.example.com -m web-1', usage, /--password-stdin/),
    fails('registry login reg.example.com -u ana --password-stdin -m web-1', usage, /empty/),
    fails('registry login reg.example.com/team -m web-1', usage, /is not a valid registry/),
  ],
  'registry logout': [
    ok('registry logout reg.example.com -m web-1', /reg\.example\.com\twas not logged in/),
    json('registry logout reg.example.com --on role=web', [{ removed: false }, {}]),
    fails('registry logout reg.example.com -m nowhere', missing, /nowhere/),
  ],
  'registry ls': [
    ok('registry ls {registry}', /^team\/app\nteam\/other\n$/),
    json('registry ls {registry}', [{ repository: 'team/app' }, { repository: 'team/other' }]),
    json('registry ls --on role=web', []),
    fails('registry ls {registry} --on role=web', usage, /either a registry/),
    fails('registry ls --insecure -m web-1', usage, /require a registry/),
  ],
  'registry tags': [
    ok('registry tags {registry}/team/app', /^1\nlatest\n$/),
    json('registry tags {registry}/team/app', [{ tag: '1' }, { tag: 'latest' }]),
    fails('registry tags {registry}/team/none', failed, /there is no repository team\/none/),
    fails('registry tags {registry}/team/app:1', usage, /without a tag/),
  ],
  'volume ls': [
    ok('volume ls --on role=web', /^web-2\tdata\tlocal\t/m),
    ok('volume ls -q --on role=web', /^web-1\/data$/m),
    json('volume ls --machine web-1', [{ machine: 'web-1', name: 'data', driver: 'local' }]),
    fails('volume ls --machine nowhere', missing, /nowhere/),
  ],
  'volume inspect': [
    ok('volume inspect data --machine web-1', /"Name":"data"/),
    json('volume inspect web-1/data web-2/data', [{ machine: 'web-1' }, { machine: 'web-2' }]),
    fails('volume inspect nowhere --machine web-1', failed, /No such volume: nowhere/),
  ],
  'volume rm': [
    ok('volume rm data --machine web-1', /^data$/m),
    ok('volume rm web-2/data web-1/data', /^web-1\tdata\nweb-2\tdata\n$/),
    json('volume rm data --on role=web --yes', [{ machine: 'web-1' }, { machine: 'web-2' }]),
    fails('volume rm nowhere data --machine web-1', failed, /^data\n.*No such volume: nowhere/s),
    fails('volume rm data --on role=web', usage, /web-1, web-2:\n  volume data\n.*--yes/s),
    fails(
      'set web-1 protected=true && volume rm data -m web-1 --yes',
      usage,
      /machine is protected/,
    ),
  ],
  'volume prune': [
    ok('volume prune --machine web-1 -f', /^volumes\t0\t0B\n.*reclaimed 0B/s),
    ok('volume prune --on role=web -fa', /web-1\tvolumes\t1\t500B\n.*reclaimed 1kB on 2/s),
    json('volume prune --machine web-1 --yes -a', [{ kind: 'volumes', removed: ['data'] }]),
    fails('volume prune --on role=web', usage, /anonymous volumes .*--yes/s),
    fails(
      'set web-2 protected=true && volume prune --all --yes',
      usage,
      /web-2: the machine is protected/,
    ),
  ],
  'network ls': [
    ok('network ls --on role=web', /^web-1\td{12}\tfront\tbridge\tlocal\t172\.20\.0\.0\/16$/m),
    json('network ls --machine web-1', [{ name: 'front', subnets: ['172.20.0.0/16'] }]),
    fails('network ls --machine nowhere', missing, /nowhere/),
  ],
  'network inspect': [
    ok('network inspect front --machine web-1', /"Name":"front"/),
    json('network inspect front --on role=web', [{ machine: 'web-1' }, { machine: 'web-2' }]),
    fails('network inspect nowhere --machine web-1', failed, /No such network: nowhere/),
  ],
  'network rm': [
    ok('network rm front --machine web-1', /^front$/m),
    json('network rm front --on role=web --yes', [{ machine: 'web-1' }, { machine: 'web-2' }]),
    fails('network rm nowhere --machine web-1', failed, /No such network: nowhere/),
  ],
  'network prune': [
    ok('network prune --machine web-1 --yes', /^networks\t0\t0B$/m),
    json('network prune --machine web-1 --yes', [{ kind: 'networks', removed: [] }]),
    fails('network prune --on role=web', usage, /web-1, web-2:\n  all networks/),
  ],
  'system prune': [
    ok('system prune --on role=web --yes', /web-1\tcontainers\t1\t1kB\n.*reclaimed 2kB on 2/s),
    json('system prune --machine web-1 --yes --filter label=a', [
      ...[{ kind: 'containers' }, { kind: 'networks' }, { kind: 'images' }],
    ]),
    ok('set web-1 protected=true && system prune -m web-1 --yes', /build cache/),
    fails(
      'system prune --volumes --filter until=24h --all',
      usage,
      /until filter does not apply to volumes/,
    ),
    fails('set web-1 protected=true && system prune -m web-1 --volumes --yes', usage, /protected/),
  ],
  'system df': lists.df('system df'),
  'system events': lists.events('system events'),
  cp: [
    ok('cp machines.yaml web-1:{folder}/copied && cp web-1:{folder}/copied back', /./, {
      ...{ programs: true, shell: true },
    }),
    json('cp machines.yaml web-1:{folder}/copied', {}, { programs: true, shell: true }),
    fails('cp nowhere web-1:/tmp', failed, /copy nowhere to web-1:\/tmp: find the files\n/),
    fails('cp nowhere web-1:/tmp --json', failed, /"task":"copy nowhere to web-1:\/tmp"/),
  ],
  // test/e2e/machine/mount.test.ts tests mounting.
  mount: [
    ok('mount --help', /mount web-1:\/srv/),
    fails('mount', usage, /specify a machine and a directory/),
    fails('mount :/srv srv', usage, /specify a machine and a directory/),
    fails('mount web-1:/srv', usage, /fleet mount web-1:\/srv .\/srv/),
    fails('mount -u web-1:/srv srv', usage, /fleet mount -u srv/),
    fails('mount nowhere:/srv .', missing, /nowhere/),
  ],
  'forward start': [
    ok('forward start --help', /fleet forward web-1 db:5432/),
    fails('forward web-1', usage, /no port specified/),
    fails('forward web-1 70000', usage, /"70000" is not a port \(1 to 65535\)/),
    fails('forward web-1 0', usage, /"0" is not a port/),
    fails('forward web-1 53/udp', usage, /UDP cannot be forwarded/),
    fails('forward web-1 80:-x:80', usage, /"-x" is not a valid container name/),
    fails('forward web-1 1:2:3:4', usage, /too many colons/),
    fails('forward web-1/app app:80', usage, /app is already specified with the machine/),
    fails('forward web-1 80 --published', usage, /cannot be combined/),
    fails('forward web-1 80 81 --socket s', usage, /only one port/),
    fails('forward web-1 81:80 --socket s', usage, /local port cannot be combined/),
    fails('forward web-1 80 --address example.com', usage, /"example\.com" is not an IP address/),
    fails('forward web-1 80 --socket machines.yaml', failed, /exists and is not a socket/),
    fails('forward web-1 {port}:80', failed, /port \d+ on 127\.0\.0\.1 is already in use\n.*LOCAL/),
    fails('forward web-1 2{port}:80', usage, /is not a port/),
    fails('forward web-1 apq:80', failed, /No such container: apq \(did you mean "app"\?\)/),
    fails('forward web-1 app:80', failed, /HostConfig is missing|no network address/),
    fails('forward nowhere 80', missing, /nowhere/),
  ],
  'forward ls': [
    ok('forward ls', /without the broker, ports are forwarded only while/),
    json('forward ls', []),
    fails('forward ls web-1', usage, /too many arguments/),
  ],
  'forward stop': [
    ok('forward stop --all', /no ports are forwarded/),
    fails('forward stop', usage, /specify local ports or machines/),
    fails('forward stop 8080', usage, /"8080"\n.*fleet forward ls/),
    fails('forward stop --all 8080', usage, /specify local ports/),
  ],
  __sftp: [ok('__sftp --help', /SFTP/), unknown('__sftp')],
  rekey: [
    fails('rekey web-1 --yes', usage, /the host key is still SHA256:/),
    fails('rekey hub --inventory written.yaml', unreachable, /adopted yet\n.* --on hub/, written),
    ok('rekey web-1 --yes', /web-1/, { files: otherKey }),
    json('rekey web-1 --yes', {}, { files: otherKey }),
  ],
  ...Object.fromEntries(
    ['start', 'stop', 'restart', 'kill'].map((verb) => [
      verb,
      [
        ok(`${verb} db-1`, /db-1/),
        json(`${verb} db-1`, [{ name: 'db-1' }]),
        fails(`${verb} web-1`, unsupported, /web-1/),
      ],
    ]),
  ),
  'snapshot save': [
    ok('snapshot save db-1 s', /^$/),
    fails('snapshot save web-1 s', unsupported, /web-1/),
  ],
  'snapshot restore': [
    ok('snapshot save db-1 s && snapshot restore db-1 s', /^/),
    fails('snapshot restore db-1 s', usage, /there is no snapshot s/),
  ],
  'snapshot ls': [
    ok('snapshot save db-1 s && snapshot ls db-1', /^s\t2026/),
    json('snapshot save db-1 s && snapshot ls db-1', [{ name: 's' }]),
    unknown('snapshot ls'),
  ],
  'snapshot rm': [
    ok('snapshot save db-1 s && snapshot rm db-1 s', /^/),
    fails('snapshot rm db-1 s', usage, /there is no snapshot s/),
  ],
  rm: [
    ok('rm db-1 --yes', /removed the host \(fake, fake-db-1/),
    json('rm db-1 --yes', [{ name: 'db-1' }]),
    fails('rm db-1', usage, /--yes/),
  ],
  forget: [
    ok('forget web-1 --yes', /removed its entry/),
    json('forget web-1 --yes', [{ name: 'web-1' }]),
    unknown('forget'),
  ],
  gc: [
    ok('gc', /^fake\tlost-1\t.*host fake-lost-1/m),
    ok('gc lost-1 --driver fake', /to remove the hosts: fleet gc lost-1 --driver fake --yes/),
    json('gc', [{ machine: 'lost-1' }]),
    fails('gc nowhere', missing, /nowhere/),
  ],
  'swarm ls': [
    ok(
      'swarm ls --inventory swarms.yaml',
      /prod\s+healthy\s+1\/1\s+1\/1\s+c+\ntest\s+not-initialized/,
    ),
    json('swarm ls --inventory swarms.yaml', [
      { swarm: 'prod', state: 'healthy', managers: 1, reachableManagers: 1, nodes: 1 },
      { swarm: 'test', state: 'not-initialized', nodes: 0 },
    ]),
    ok('swarm ls', /^$/),
    fails('swarm ls --timeout x', usage, /x/),
    fails('--all swarm ls', usage, /fleet swarm ls does not accept --all/),
  ],
  'swarm status': [
    ok('swarm status prod --inventory swarms.yaml', /ready\s+manager \(leader\)\s+active/),
    json('swarm status prod --inventory swarms.yaml', [
      { swarm: 'prod', node: 'n'.repeat(25), state: 'ready', leader: true, engine: '27.5.1' },
    ]),
    fails('swarm status test --inventory swarms.yaml', failed, /test is not initialized/),
    fails('swarm status prd --inventory swarms.yaml', usage, /"prd"[^]*prod/),
    fails('swarm status prod', usage, /swarms: \{ prod: \{ managers: role=manager \} \}/),
  ],
  'service ls': [
    ok(
      'service ls --inventory service.yaml',
      /^web\treplicated\t1\/1\tnginx:1\.27\t8080->80\/tcp\tcompleted\n$/,
      oneSwarm,
    ),
    json('service ls -m prod --inventory swarms.yaml', [
      { swarm: 'prod', service: 'web', stack: 'front', running: 1 },
    ]),
    fails('service ls --inventory swarms.yaml', usage, /2 swarms[^]*prod, test/),
    fails('service ls -m web-1 --inventory swarms.yaml', usage, /web-1 is a machine[^]*prod, test/),
    fails('service ls -m test --inventory swarms.yaml', failed, /test is not initialized/),
    fails('service ls', usage, /no swarms\n {2}add a swarm to machines\.yaml: swarms: \{ prod:/),
  ],
  'service ps': [
    ok(
      'service ps web -m prod --inventory swarms.yaml',
      /^web\.1\tweb-2\trunning .*\nweb\.1\tweb-2\tfailed .*non-zero exit \(1\)/,
    ),
    json('service ps --current -m prod --inventory swarms.yaml', [
      { task: 'web.1', machine: 'web-2', state: 'running', container: 'c'.repeat(64) },
    ]),
    fails(
      'service ps webb -m prod --inventory swarms.yaml',
      failed,
      /"webb" \(did you mean "web"\?\)/,
    ),
  ],
  'service logs': [
    ok('service logs web -m prod --inventory swarms.yaml', /^hello from nginx\n$/),
    json('service logs web.1 -m prod --inventory swarms.yaml', {
      ...{ machine: 'web-2', task: 'web.1', line: 'hello from nginx' },
    }),
    fails('service logs web.7 -m prod --inventory swarms.yaml', failed, /has no task web\.7/),
  ],
  'service scale': [
    ok('service scale web=1 -m prod --inventory swarms.yaml', /web: 1 of 1 tasks are ready/),
    json('service scale web=1 -m prod --inventory swarms.yaml', [
      { service: 'web', state: 'converged', running: 1, desired: 1 },
    ]),
    fails(
      'service scale web -m prod --inventory swarms.yaml',
      usage,
      /"web" is not SERVICE=REPLICAS/,
    ),
    fails('service scale api=2 -m prod --inventory swarms.yaml', failed, /no service "api"/),
  ],
  'service update': [
    ok(
      'service update --image nginx:2 --env-add B=2 web -m prod --inventory swarms.yaml',
      /web: 1 of 1 tasks are ready/,
    ),
    json('service update --force --detach web -m prod --inventory swarms.yaml', [
      { service: 'web', state: 'detached' },
    ]),
    fails('service update web -m prod --inventory swarms.yaml', usage, /nothing to change/),
    fails('service update --env-add B web -m prod --inventory swarms.yaml', usage, /"B" is not/),
  ],
  'service rollback': [
    ok('service rollback web -m prod --inventory swarms.yaml', /web: 1 of 1 tasks are ready/),
    json('service rollback web -m prod --inventory swarms.yaml', [{ state: 'converged' }]),
    fails('service rollback api -m prod --inventory swarms.yaml', failed, /no service "api"/),
  ],
  // The SSH server of these hosts refuses to forward connections.
  'swarm check': [
    fails(
      'swarm check prod --inventory swarms.yaml',
      failed,
      /prod\tweb-1\tweb-2\t192.0.2.1\t2377\/tcp\tnot checked[^]*no ip_vs kernel module on .*db-1; [^]*0 of 12 connections/,
    ),
    ok('swarm check --inventory new.yaml', /^$|check/),
    {
      ...json('swarm check prod --inventory swarms.yaml', {
        0: { from: 'web-1', state: 'unknown' },
      }),
      code: failed,
    },
    fails('swarm check prd --inventory swarms.yaml', usage, /"prd"[^]*prod/),
  ],
  'swarm unlock': [
    ok('swarm unlock prod --inventory swarms.yaml', /no manager of swarm prod is locked/),
    json('swarm unlock prod --inventory swarms.yaml', []),
    fails('swarm unlock test --inventory swarms.yaml', failed, /test is not initialized/),
  ],
  'swarm recover': [
    fails('swarm recover prod --inventory swarms.yaml --confirm prod', failed, /it has a leader/),
    fails('swarm recover prd --inventory swarms.yaml', usage, /"prd"[^]*prod/),
  ],
  'swarm rotate': [
    ok('swarm rotate prod --yes --inventory swarms.yaml', /replaced the join tokens of swarm prod/),
    json('swarm rotate prod --yes --inventory swarms.yaml', {
      swarm: 'prod',
      rotated: ['join tokens'],
    }),
    fails('swarm rotate prod --inventory swarms.yaml', usage, /--yes/),
    fails(
      'swarm rotate prod --unlock-key --yes --inventory swarms.yaml',
      usage,
      /no unlock key[^]*autolock/,
    ),
  ],
  'stack ls': [
    ok(
      'stack ls --inventory service.yaml',
      /^shop\tunmanaged\t\t1\/1\t.*\tswarm prod\tnot deployed by fleet$/m,
      onSwarm,
    ),
    ok(
      'stack ls --inventory stacks.yaml',
      /^shop\tdeployed\t2\t2\/2\t.*\tana@laptop\t\tweb-1, web-2\t$/m,
    ),
    json('stack ls --inventory stacks.yaml --on role=web', [
      { stack: 'shop', machine: 'web-1', state: 'deployed', release: 2, selected: true },
      { stack: 'shop', machine: 'web-2' },
    ]),
    json('stack ls --on role=db', [{ stack: 'shop', machine: 'db-1', selected: false }]),
    fails('stack ls --on nowhere', missing, /nowhere/),
  ],
  'stack ps': [
    json(
      'stack ps --inventory service.yaml',
      [{ stack: 'shop', service: 'web', machine: 'web-2', name: 'web.1', state: 'running' }],
      onSwarm,
    ),
    ok(
      'stack ps --inventory stacks.yaml',
      /^web-1\tshop\tweb\tc{12}\tapp\tnginx:1\.27\t.*\nweb-2\t/,
    ),
    json('stack ps shop --inventory stacks.yaml', [{ service: 'web' }, { machine: 'web-2' }]),
    ok('stack ps gone --on role=web', /^$/),
    fails('stack ps shpo --inventory stacks.yaml', usage, /"shpo" \(did you mean "shop"\?\)/),
  ],
  'stack logs': [
    ok('stack logs shop --inventory service.yaml', /hello from nginx/, onSwarm),
    fails(
      'stack logs shop --on web-1 --inventory service.yaml',
      usage,
      /is (?:on|deployed to) swarm prod/,
      onSwarm,
    ),
    ok('stack logs shop --inventory stacks.yaml', /^web-1 app \| hello from nginx\nweb-2 app \|/),
    { ...json('stack logs shop --on web-1', { machine: 'web-1', line: 'hello from nginx' }) },
    fails('stack logs shop db --inventory stacks.yaml', failed, /no containers for db/),
  ],
  'stack rollback': [
    fails(
      'stack rollback shop --inventory service.yaml',
      usage,
      /stack shop has no earlier release/,
      onSwarm,
    ),
    ok(
      'stack rollback shop --yes --inventory stacks.yaml',
      /web-1: release 1 is running again, replacing release 2/,
    ),
    json('stack rollback shop --yes --inventory stacks.yaml', [
      { machine: 'web-1', stack: 'shop', from: 2, release: 1 },
      { machine: 'web-2' },
    ]),
    fails(
      'stack rollback shop --inventory stacks.yaml',
      usage,
      /release 2 -> release 1 .*by ana@laptop[^]*--yes/,
    ),
    fails(
      'stack rollback shop --to 7 --yes --inventory stacks.yaml',
      failed,
      /has no release 7[^]*can be restored: 1, 2/,
    ),
    fails(
      'stack rollback shop --on db-1 --yes --inventory stacks.yaml',
      missing,
      /not on any of the selected/,
    ),
  ],
  'stack adopt': [
    fails(
      'stack adopt shop --inventory service.yaml',
      usage,
      /is (?:on|deployed to) swarm prod/,
      onSwarm,
    ),
    ok(
      'stack adopt shop --inventory new.yaml',
      /web-1: recorded .* as release 1 of stack shop \(web\)\n/,
    ),
    json('stack adopt shop --on web-1 --inventory new.yaml', [
      { machine: 'web-1', release: 1, services: ['web'], differing: [], mounts: [] },
    ]),
    fails('stack adopt shop --inventory stacks.yaml', failed, /already been deployed or adopted/),
    fails('stack adopt blog --inventory new.yaml', failed, /no Compose project named blog/),
    fails('stack adopt gone --inventory stacks.yaml', usage, /"gone"[^]*shop, blog/),
  ],
  'stack rm': [
    fails('stack rm shop --inventory service.yaml', usage, /remove 1 service \(web\)/, onSwarm),
    fails('stack rm shop --inventory swarms.yaml', usage, /remove 1 service .* on swarm prod/),
    fails(
      'stack rm shop --volumes --inventory service.yaml',
      unsupported,
      /does not remove volumes from swarm prod/,
      onSwarm,
    ),
    ok(
      'stack rm shop --yes --inventory stacks.yaml',
      /web-1: removed stack shop \(1 container\)\n  kept volumes: shop_data\n  kept files that were changed on the host: .*shop\/root/,
    ),
    ok('stack rm shop --yes --volumes --destroy shop --on web-1', /1 volume\)\n$/),
    json('stack rm shop --yes --on web-1', [
      { networks: ['shop_default'], keptVolumes: ['shop_data'] },
    ]),
    fails('stack rm ../.. --on all --yes', usage, /no stack called "\.\.\/\.\."/),
    fails('stack rm shop --on web-1', usage, /1 container \(app\)[^]*--yes/),
    fails(
      'stack rm shop --on web-1 --yes --volumes',
      usage,
      /deleting volume shop_data in stack shop[^]*--destroy shop/,
    ),
    fails(
      'stack rm shop --on web-1 --yes --volumes --destroy blog',
      usage,
      /stack name \(shop\), not "blog"/,
    ),
    fails('stack rm shpo --yes --inventory stacks.yaml', usage, /did you mean "shop"[^]*--on all/),
  ],
  ps: lists.ps('ps'),
  where: [
    ok('where web', /^web-1\tapp\tc{12}\tshop\/web\tnginx:1\.27\tUp 3 minutes\nweb-2\tapp\t/),
    ok('where app -q --on role=web', /^web-1\/app\nweb-2\/app\n$/),
    ok('where -m web-1 cccccc -q', /^web-1\/app\n$/),
    json('where app --on role=web', [{ machine: 'web-1', service: 'web' }, { machine: 'web-2' }]),
    fails('where ccccc', failed, /named "ccccc" was found on the 3 machines that responded/),
    fails(
      'where apq --on web-2',
      failed,
      /"apq" was found on the machine that responded\n.*"app"\?/,
    ),
    fails('where app --machine nowhere', missing, /nowhere/),
  ],
  'container ls': lists.ps('container ls'),
  images: lists.images('images'),
  'image ls': lists.images('image ls'),
  history: lists.history('history'),
  'image history': lists.history('image history'),
  logs: [
    ...lists.logs('logs'),
    ok('logs -m prod web --inventory swarms.yaml', /^hello from nginx\n$/),
    ok('logs web --inventory service.yaml', /^hello from nginx\n$/, oneSwarm),
    fails('logs -m prod api --inventory swarms.yaml', failed, /swarm prod has no service "api"/),
  ],
  'container logs': lists.logs('container logs'),
  stats: lists.stats('stats'),
  top: [
    ok('top --help', /fleet top --on role=web --read-only/),
    fails('top', usage, /requires a terminal[^]*fleet status/),
    fails('top nowhere', missing, /nowhere[^]*fleet container top nowhere/),
  ],
  'container stats': lists.stats('container stats'),
  events: lists.events('events'),
  df: lists.df('df'),
  'container inspect': [
    ok('container inspect app --machine web-1', /"Name":"\/app"/),
    json('container inspect app --machine web-1', [{ Name: '/app' }]),
    fails('container inspect nowhere --machine web-1', failed, /nowhere/),
  ],
  'image inspect': [
    ok('image inspect nginx:1.27 --machine web-1', /"nginx:1\.27"/),
    json('image inspect nginx:1.27 --machine web-1', [{ RepoTags: ['nginx:1.27'] }]),
    fails('image inspect nowhere --machine web-1', failed, /nowhere/),
  ],
  'image layers': [
    ok('image layers --machine web-1', /^nginx:1\.27\tb{12}\t7B/),
    json('image layers --machine web-1', [{ machine: 'web-1' }]),
    fails('image layers nginx:9 --machine web-1', failed, /nginx:9/),
  ],
  'image copy': [
    ok('image copy nginx:1.27 web-1 web-2', /web-2: already/),
    json('image copy nginx:1.27 web-1 web-2', {}),
    fails('image copy nginx:9 web-1 web-2', failed, /nginx:9/),
  ],
  env: [
    ok('env laptop --inventory here.yaml --shell bash', /DOCKER_HOST=.*docker\.sock/),
    fails('env web-1', unsupported, /broker/),
  ],
  url: [
    ok('url laptop --inventory here.yaml', /^unix:\/\/.*docker\.sock\n$/),
    fails('url web-1', unsupported, /broker/),
  ],
  config: [
    ok('config laptop --inventory here.yaml', /^-H=unix:\/\/.*docker\.sock\n$/),
    fails('config web-1', unsupported, /broker/),
  ],
  'context sync': [
    ok('context sync --inventory here.yaml', /^laptop\t/),
    json('context sync --inventory here.yaml', [{ name: 'laptop' }]),
    fails('context sync', unsupported, /broker/),
  ],
  'broker status': [
    ok('broker status', /the broker is not running/),
    json('broker status', {}),
    fails('broker status web-1', usage, /too many arguments/),
  ],
  'broker stop': [
    ok('broker stop', /the broker is not running/),
    fails('broker stop web-1', usage, /too many arguments/),
  ],
  'trust add': [
    ok('trust add', /./),
    json('trust add', []),
    fails('trust add ssh', usage, /part of fleet/),
  ],
  'trust alias': [
    ok('trust alias web-1', /none of the machines has an SSH alias/),
    json('trust alias web-1', []),
    fails('trust alias nowhere', missing, /nowhere/),
    fails('trust alias', usage, /fleet trust alias NAME, or fleet trust alias --on SELECTOR/),
  ],
  'trust inventory': [
    ok('trust inventory', /trusted: .*machines\.yaml/),
    json('trust inventory', {}),
    fails('trust inventory nowhere', inventory, /nowhere/),
  ],
  'trust ls': [
    ok('trust inventory && trust ls', /machines\.yaml/),
    json('trust inventory && trust ls', [{}]),
    fails('trust ls web-1', usage, /too many arguments/),
  ],
  'trust rm': [
    ok('trust rm', /nothing to revoke/),
    json('trust rm', []),
    fails('trust rm nowhere', usage, /nowhere/),
  ],
  'cache ls': [
    ok('cache ls', /^$/),
    json('cache ls', []),
    fails('cache ls x', usage, /too many arguments/),
  ],
  'cache rm': [ok('cache rm --all', /^/), fails('cache rm x', usage, /there is no image x/)],
  completion: [ok('completion bash', /^_fleet\(\)/), fails('completion tcsh', usage, /tcsh/)],
  __complete: [
    ok('__complete stack logs --inventory stacks.yaml s', /^shop\tstack$/m),
    ok('__complete ssh w', /^web-1\tssh\nweb-2\tssh$/m),
    ok('__complete nowhere x', /^/),
  ],
}
