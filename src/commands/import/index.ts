import { resolve } from 'node:path'
import { UserError } from '../../errors.ts'
import { foldNames } from '../../ui/fold-names.ts'
import { type CommandGroup, defineCommand, flag, optional, required } from '../command.ts'
import { confirmJumpOn } from '../options/confirmation.ts'
import { importFrom, importHosts, importOptions } from './import-hosts.ts'

const shared =
  "fleet connects to each host over SSH but changes nothing on it, and never removes imported hosts. For AWS, Azure and VirtualBox hosts, fleet uses the provider's driver if it can query the provider, so that it can start and stop these hosts; for all other hosts, it uses the ssh driver. fleet asks about host keys that are not in known_hosts, unless you pass --accept-new. If any host is skipped, fleet prints the reason and exits with code 1."

const dockerMachine = defineCommand({
  name: 'docker-machine',
  summary: 'Import machines from Docker Machine',
  description: `Import machines from Docker Machine. Their login keys are copied to fleet's home directory; cloud credentials and certificates are not. ${shared}`,
  arguments: {
    store: optional('dir', 'Docker Machine storage path (default: ~/.docker/machine)', 'file'),
  },
  options: importOptions,
  answers: 'json',
  examples: ['fleet import docker-machine --dry-run', 'fleet import docker-machine --accept-new'],
  async run({ fleet, io, args, options, format }) {
    const { readDockerMachine } = await import('../../operations/import/docker-machine.ts')
    const store = args.store === undefined ? undefined : resolve(io.cwd, args.store)
    const found = await readDockerMachine(store, fleet.env)
    return importHosts({ fleet, io, format }, found, options)
  },
})

const terraform = defineCommand({
  name: 'terraform',
  summary: 'Import hosts from Terraform or OpenTofu state',
  description: `Import hosts from Terraform or OpenTofu state: a state file, or the output of terraform show -json. Terraform continues to manage the hosts. ${shared}`,
  arguments: { state: required('state', 'state file, such as terraform.tfstate', 'file') },
  options: importOptions,
  answers: 'json',
  examples: ['fleet import terraform terraform.tfstate --user admin'],
  async run({ fleet, io, args, options, format }) {
    const { readTerraformState } = await import('../../operations/import/terraform/read-hosts.ts')
    const found = await readTerraformState(resolve(io.cwd, args.state))
    return importHosts({ fleet, io, format }, found, options)
  },
})

const ansible = defineCommand({
  name: 'ansible',
  summary: 'Import hosts from an Ansible inventory',
  description: `Import hosts from an Ansible inventory, in any format that ansible-inventory reads. Each group becomes a label; for example, hosts in the web group get the label web=true. Jump hosts in ansible_ssh_common_args are also added as machines. Ansible runs inventory scripts and plugins, so import only inventories that you trust. ${shared}`,
  arguments: { inventory: required('inventory', 'inventory file, directory or script', 'file') },
  options: importOptions,
  answers: 'json',
  examples: ['fleet import ansible hosts.ini'],
  async run({ fleet, io, args, options, format }) {
    const { readAnsibleInventory } = await import('../../operations/import/ansible/read-hosts.ts')
    const found = await readAnsibleInventory(resolve(io.cwd, args.inventory), fleet.env)
    return importHosts({ fleet, io, format }, found, options)
  },
})

const { user: _user, ...sharedOptions } = importOptions
const sshConfigOptions = {
  ...sharedOptions,
  allowExec: flag('--allow-exec', 'let ssh run the "Match exec" commands in the file'),
} as const

/** Refuses a file with commands that ssh would run as soon as it reads the file. Throws kind `usage`. */
function checkCommands(
  file: string,
  {
    commands,
    unread,
  }: { readonly commands: readonly string[]; readonly unread: readonly string[] },
): void {
  const places = [...commands, ...unread]
  if (places.length === 0) return
  const what =
    commands.length > 0
      ? `contains "Match exec" commands, which ssh runs when it reads the file`
      : 'includes files that fleet cannot check for "Match exec" commands'
  throw new UserError('usage', `${file} ${what}: ${foldNames(places)}`, {
    hint: 'review the commands first; to run them, pass --allow-exec',
  })
}

const sshConfig = defineCommand({
  name: 'ssh-config',
  summary: 'Import hosts from ~/.ssh/config',
  description: `Import all hosts in an SSH configuration, as if you had run fleet adopt for each of them. Host entries with wildcards are ignored. If a file other than ~/.ssh/config contains "Match exec", fleet does not import it unless you pass --allow-exec. ${shared}`,
  arguments: { file: optional('file', 'SSH configuration file (default: ~/.ssh/config)', 'file') },
  options: sshConfigOptions,
  answers: 'json',
  examples: ['fleet import ssh-config --dry-run', "fleet import ssh-config --only 'web-*'"],
  async run({ fleet, io, args, options, format }) {
    const { readSshAliases } = await import('../../operations/import/ssh-config.ts')
    const { machineNameFrom } = await import('../../operations/import/imported-host.ts')
    const { adoptMachine } = await import('../../operations/adopt/adopt-machine.ts')
    const configuration = args.file === undefined ? undefined : resolve(io.cwd, args.file)
    const found = await readSshAliases(configuration, fleet.env)
    const named = found.aliases.map((destination) => ({
      destination,
      name: machineNameFrom(destination),
    }))
    const hosts = named.flatMap(({ destination, name }) =>
      name === undefined ? [] : [{ destination, name }],
    )
    const skipped = named
      .filter(({ name }) => name === undefined)
      .map(({ destination }) => ({
        title: destination,
        reason: 'its name is not a valid machine name',
      }))
    if (!options.dryRun && !options.allowExec) checkCommands(args.file ?? '', found)
    const confirmJump = confirmJumpOn(io)
    return importFrom(
      { fleet, io, format },
      {
        hosts,
        skipped,
        onlyNames: true,
        columns: [{ title: 'NAME', text: ({ name }) => name }],
        importHost: (host, { progress, ...request }, fleet) =>
          adoptMachine(fleet, { ...host, ...request, configuration }, { progress, confirmJump }),
      },
      options,
    )
  },
})

/** The commands of `fleet import`. */
export const importCommands: CommandGroup = {
  name: 'import',
  summary: 'Import hosts from other tools',
  commands: [dockerMachine, sshConfig, terraform, ansible],
}
