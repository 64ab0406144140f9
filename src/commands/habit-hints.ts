/** A command line that users type out of habit from another tool, and the next step in fleet. */
interface Habit {
  /** The beginning of the command line. */
  readonly typed: string
  /** Spellings of an option that fleet does not have. If absent, the command itself is unknown to fleet. */
  readonly options?: readonly string[]
  readonly next: string
}

/** Command lines of docker, docker-machine, vagrant, kubectl and ssh. The first match is used. */
const habits: readonly Habit[] = [
  // docker-machine
  {
    typed: 'regenerate-certs',
    next: 'fleet connects over SSH and does not use certificates; to accept a new host key: fleet rekey NAME',
  },
  { typed: 'umount', next: 'to unmount a directory: fleet mount -u DIRECTORY' },
  { typed: 'unmount', next: 'to unmount a directory: fleet mount -u DIRECTORY' },
  { typed: 'scp', next: 'to copy files: fleet cp' },
  {
    typed: 'inspect',
    options: ['-f'],
    next: "to print one field: fleet inspect NAME --format '{{.host.address}}'",
  },
  ...['machine', 'docker-machine'].map((typed) => ({
    typed,
    next: 'machine commands have no prefix, for example: fleet ls',
  })),
  {
    typed: 'rm',
    options: ['-f', '--force'],
    next: 'to remove a machine without a prompt: fleet rm --yes NAME; to remove a container: fleet container rm -f NAME',
  },
  // vagrant, and names of export commands that fleet does not have
  { typed: 'halt', next: 'to turn a machine off: fleet stop NAME' },
  {
    typed: 'export ssh-config',
    next: 'to print an SSH configuration for machines: fleet ssh-config',
  },
  { typed: 'export ssh', next: 'to print an SSH configuration for machines: fleet ssh-config' },
  // options that have a different name in fleet
  {
    typed: 'rm',
    options: ['--forget', '--keep-host'],
    next: 'to remove the entry but keep the host: fleet forget NAME',
  },
  { typed: '', options: ['--engine-none'], next: 'for a host without Docker: --no-engine' },
  {
    typed: '',
    options: ['--providers-only', '--no-refresh'],
    next: 'to query only the providers, without connecting to hosts: --skip-hosts',
  },
  // docker
  {
    typed: 'context ls',
    next: 'to list machines: fleet ls; to list Docker contexts: docker context ls',
  },
  ...['context use', 'use-context'].map((typed) => ({
    typed,
    next: 'to set the active machine: fleet use NAME',
  })),
  { typed: 'context show', next: 'to print the active machine: fleet active' },
  ...['create', 'inspect', 'rm'].map((verb) => ({
    typed: `service ${verb}`,
    next: `to run docker on a swarm manager: fleet -m SWARM docker service ${verb}`,
  })),
  { typed: 'stack deploy', next: 'to deploy the stacks in the inventory: fleet deploy' },
  { typed: 'stack services', next: 'to list the services in a swarm: fleet service ls' },
  { typed: 'node', next: 'to list swarm nodes: fleet swarm status' },
  {
    typed: 'context create',
    next: 'to add a host: fleet adopt USER@HOST; to create Docker contexts: fleet context sync',
  },
  {
    typed: 'login',
    next: 'to log hosts in to a registry: fleet registry login; for fleet pull and fleet run, use docker login on this computer',
  },
  { typed: 'logout', next: 'to log hosts out of a registry: fleet registry logout' },
  {
    typed: 'registry login',
    options: ['-p', '--password'],
    next: 'a password on the command line is visible in process lists: use --password-stdin',
  },
  { typed: 'rmi', next: 'to remove images: fleet image rm' },
  { typed: 'image rmi', next: 'to remove images: fleet image rm' },
  {
    typed: 'prune',
    next: 'to remove unused Docker data: fleet system prune; to delete hosts that are not in the inventory: fleet gc',
  },
  { typed: 'up', next: 'to start a Compose project: fleet compose up' },
  { typed: 'down', next: 'to stop a Compose project: fleet compose down' },
  // kubectl
  { typed: 'get', next: 'to list machines: fleet ls; to list containers: fleet ps' },
  ...['describe', 'show'].map((typed) => ({
    typed,
    next: "to show a machine's entry: fleet inspect NAME",
  })),
  ...['delete', 'remove', 'destroy'].map((typed) => ({
    typed,
    next: 'to remove a machine: fleet rm NAME',
  })),
  {
    typed: 'edit',
    next: 'to change a machine: edit machines.yaml, or run fleet set NAME KEY=VALUE',
  },
  {
    typed: 'scale',
    next: 'to change the number of machines: fleet set --profile PROFILE count=NUMBER, then fleet apply',
  },
  {
    typed: 'apply',
    options: ['-f', '--filename'],
    next: 'fleet apply reads machines.yaml; to use another file: fleet apply --inventory FILE',
  },
  { typed: '', options: ['-o', '--output'], next: 'to print JSON: --json' },
]

/** Docker Machine drivers that fleet also has, and their names in fleet. */
const sharedDrivers: ReadonlyMap<string, string> = new Map([
  ['amazonec2', 'aws'],
  ['azure', 'azure'],
  ['virtualbox', 'virtualbox'],
])

/** Docker Machine drivers for existing hosts. */
const existingHostDrivers = new Set(['generic', 'none'])

/** Docker Machine drivers that have no equivalent in fleet. */
const missingDrivers = new Set(
  'digitalocean exoscale google hyperv linode openstack parallels rackspace softlayer vmwarefusion vmwarevcloudair vmwarevsphere scaleway hetzner vultr'.split(
    ' ',
  ),
)

/** Returns the next step for the name of a Docker Machine driver. */
export function driverHabit(name: string): string | undefined {
  const own = sharedDrivers.get(name)
  if (own !== undefined) return `use --driver ${own}`
  if (existingHostDrivers.has(name)) {
    return 'to add an existing host: fleet adopt USER@HOST --name NAME'
  }
  return missingDrivers.has(name)
    ? "create the host with the provider's tools, then run fleet adopt USER@HOST"
    : undefined
}

/**
 * Returns the next step for an option of a Docker Machine driver. Such an option begins with the driver's name:
 * `--amazonec2-region`.
 */
function driverOptionHabit(option: string): string | undefined {
  const [, name = ''] = /^--([a-z0-9]+)-/.exec(option) ?? []
  const own = sharedDrivers.get(name)
  return own === undefined
    ? driverHabit(name)
    : `to list the options for the ${own} driver: fleet create --driver ${own} --help`
}

/**
 * Returns the next step for an invalid command line. `words` are the words of the command line without common options;
 * `option` is the unknown option, if there is one.
 */
export function habitOf(words: readonly string[], option: string | undefined): string | undefined {
  const line = `${words.join(' ')} `
  const habit = habits.find(
    ({ typed, options }) =>
      (typed === '' || line.startsWith(`${typed} `)) &&
      (options === undefined ? option === undefined : options.includes(option ?? '')),
  )
  if (habit !== undefined) return habit.next
  return option !== undefined && words[0] === 'create' ? driverOptionHabit(option) : undefined
}
