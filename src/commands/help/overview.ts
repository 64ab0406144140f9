/** A line of `fleet --help`: commands, and their purpose in a few words. */
interface OverviewLine {
  readonly commands: readonly string[]
  readonly text: string
}

/** A group of commands in `fleet --help`. */
interface OverviewGroup {
  readonly title: string
  readonly lines: readonly OverviewLine[]
}

const line = (commands: string, text: string): OverviewLine => ({
  commands: commands.split(' '),
  text,
})

/** All commands, grouped by topic. The text fits on a screen of about 45 lines. */
export const overview: readonly OverviewGroup[] = [
  {
    title: 'Machines',
    lines: [
      line('create adopt import', 'create hosts, add existing ones, import from other tools'),
      line('ls status top inspect ip', 'list and watch machines, show their entries and addresses'),
      line('use active', 'set or print the active machine'),
      line('ssh cp mount forward', 'open a shell, copy files, mount directories, forward ports'),
      line('start stop restart kill', 'turn machines on and off'),
      line('snapshot', 'take and restore machine snapshots'),
      line('doctor provision upgrade', 'find problems; install, repair and upgrade Docker'),
      line('rekey allow', 'accept host keys, allow SSH from this computer'),
      line('rm forget gc', 'remove machines, or only their entries; remove unmanaged hosts'),
    ],
  },
  {
    title: 'Inventory (machines.yaml)',
    lines: [
      line('init check merge', 'create the inventory, check it, resolve merge conflicts'),
      line('plan apply refresh', 'preview and apply changes; record changes made elsewhere'),
      line('set label rename', 'change machine settings, labels and names'),
      line('deploy stack swarm service', 'deploy Compose files; manage stacks and swarms'),
      line('operator', 'manage operators and their SSH keys on machines'),
      line('export ssh-config', 'export machines to Ansible, Terraform, Prometheus and ssh'),
    ],
  },
  {
    title: 'Containers and images',
    lines: [
      line('ps where logs stats events', 'list and find containers, show logs, usage and events'),
      line('run exec container', 'run containers, run commands in them, and more'),
      line('images build pull push', 'list, build, pull and push images'),
      line('history df image', 'show layers and disk usage, copy images, and more'),
      line('volume network system', 'manage volumes and networks, remove unused data'),
      line('env url config context', 'connect docker and other programs to a machine'),
      line('compose docker registry', 'run docker compose or any docker command; use registries'),
    ],
  },
  {
    title: 'fleet itself',
    lines: [
      line('broker cache trust', 'manage connections, disk images and trust settings'),
      line('completion help version', 'print a completion script, help and the version'),
    ],
  },
]

const examples: readonly (readonly [command: string, text: string])[] = [
  ['fleet init', 'create an inventory'],
  ['fleet adopt ana@203.0.113.7 --name web-1', 'add an existing host over SSH'],
  ['fleet create web-2 --driver aws --region eu-west-1', 'create a host'],
  ['fleet -m web-1 run -d -p 80:80 nginx', 'run a container on a machine'],
  ['fleet ps --all', 'list the containers on all machines'],
]

const columns = (rows: readonly (readonly [string, string])[]): string => {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}\n`).join('')
}

const rows = (lines: readonly OverviewLine[]) =>
  lines.map(({ commands, text }) => [commands.join(', '), text] as const)

/** The text of `fleet --help`. */
export function formatOverview(): string {
  const width = Math.max(
    ...overview.flatMap(({ lines }) => rows(lines)).map(([left]) => left.length),
  )
  const groups = overview.map(
    ({ title, lines }) =>
      `${title}:\n${columns(rows(lines).map(([left, right]) => [left.padEnd(width), right]))}\n`,
  )
  return `Usage: fleet [options] <command>

Manage Docker hosts from one file and run containers on them over SSH.

Examples:
${columns(examples)}
${groups.join('')}Options: -m <machine>, --on <selector>, --all, --json, --inventory <file> (fleet help options)
Topics:  fleet help selectors | options | environment | output | exit-codes
Help:    fleet <command> --help
`
}
