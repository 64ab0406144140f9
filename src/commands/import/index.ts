import { resolve } from 'node:path'
import { writeJson } from '../../ui/table.ts'
import { type CommandGroup, defineCommand, optional, required } from '../definition.ts'
import { confirmJumpOn } from '../machines/confirmation.ts'
import { importOptions, takeIn, importHosts } from './import-hosts.ts'

const shared =
  'Each host is looked at over SSH and nothing on it changes; fleet never owns it. One of AWS, Azure or VirtualBox becomes a machine of that driver where the provider can be asked, so that it can be switched, else one of driver ssh. Host keys that known_hosts does not have are asked about, or taken with --accept-new.'

const dockerMachine = defineCommand({
  name: 'docker-machine',
  summary: 'Take along the machines of Docker Machine',
  description: `Take along the machines of Docker Machine. The login keys made for them are copied into fleet's home; keys of clouds and certificates stay where they are. ${shared}`,
  arguments: { store: optional('dir', 'its store; ~/.docker/machine if not said', 'file') },
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
  summary: 'Take along the hosts of a Terraform state',
  description: `Take along the hosts of a state of Terraform or OpenTofu, which goes on making and destroying them. ${shared}`,
  arguments: { state: required('state', 'such as terraform.tfstate', 'file') },
  options: importOptions,
  answers: 'json',
  examples: ['fleet import terraform terraform.tfstate --user admin'],
  async run({ fleet, io, args, options, format }) {
    const { readTerraformState } = await import('../../operations/import/terraform.ts')
    const found = await readTerraformState(resolve(io.cwd, args.state))
    return importHosts({ fleet, io, format }, found, options)
  },
})

const ansible = defineCommand({
  name: 'ansible',
  summary: 'Take along the hosts of an Ansible inventory',
  description: `Take along the hosts of an inventory of Ansible, in any form that ansible-inventory reads. Each group becomes a label: web=true. ${shared}`,
  arguments: { inventory: required('inventory', 'its file, folder or script', 'file') },
  options: importOptions,
  answers: 'json',
  examples: ['fleet import ansible hosts.ini'],
  async run({ fleet, io, args, options, format }) {
    const { readAnsibleInventory } = await import('../../operations/import/ansible.ts')
    const found = await readAnsibleInventory(resolve(io.cwd, args.inventory), fleet.env)
    return importHosts({ fleet, io, format }, found, options)
  },
})

const { user: _user, ...sshConfigOptions } = importOptions

const sshConfig = defineCommand({
  name: 'ssh-config',
  summary: 'Take along the hosts of ~/.ssh/config',
  description: `Take along the hosts that a configuration of ssh names, without patterns, as adopt does with each. ${shared}`,
  arguments: { file: optional('file', '~/.ssh/config if not said', 'file') },
  options: sshConfigOptions,
  answers: 'json',
  examples: ['fleet import ssh-config --dry-run'],
  async run({ fleet, io, args, options, format }) {
    const { readSshAliases } = await import('../../operations/import/ssh-config.ts')
    const { machineNameFrom } = await import('../../operations/import/imported-host.ts')
    const { adoptMachine } = await import('../../operations/adopt-machine.ts')
    const configuration = args.file === undefined ? undefined : resolve(io.cwd, args.file)
    const aliases = await readSshAliases(configuration, fleet.env)
    const hosts = aliases.flatMap((destination) => {
      const name = machineNameFrom(destination)
      return name === undefined ? [] : [{ name, destination }]
    })
    if (options.dryRun) {
      if (format.json) writeJson(io, hosts)
      else for (const { name } of hosts) io.stdout.write(`${name}\n`)
      return 0
    }
    return takeIn({ fleet, io, format }, hosts, options, (host, taking, fleet) =>
      adoptMachine(
        fleet,
        { ...host, ...taking, configuration },
        { progress: taking.progress, confirmJump: confirmJumpOn(io) },
      ),
    )
  },
})

/** Taking along what other tools keep. */
export const importCommands: CommandGroup = {
  name: 'import',
  summary: 'Take along hosts that other tools keep',
  commands: [dockerMachine, sshConfig, terraform, ansible],
}
