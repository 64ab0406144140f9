import { UserError } from '../../errors.ts'
import type { ReadyMachine } from '../../machine/machine.ts'
import { foldNames } from '../../ui/fold-names.ts'
import {
  type CommandGroup,
  type Invocation,
  defineCommand,
  flag,
  parsed,
  text,
} from '../command.ts'
import { reportSkipped } from '../machine/ssh-config.ts'
import { parseCount } from '../options/numbers.ts'

type Chosen = Pick<Invocation, 'fleet' | 'targets'>

/** Resolves to the selected machines that have hosts, or to all machines with hosts if none are selected. */
async function readyMachines({ fleet, targets }: Chosen): Promise<readonly ReadyMachine[]> {
  const { listMachines } = await import('../../operations/inventory/choose-machines.ts')
  const machines = await listMachines(fleet, targets)
  return machines.flatMap((machine) =>
    machine.host?.phase === 'ready' ? [{ ...machine, host: machine.host }] : [],
  )
}

const ansible = defineCommand({
  name: 'ansible',
  summary: 'Print an inventory for Ansible',
  description:
    'Print an inventory script for Ansible. Save the script next to machines.yaml. Ansible calls the script with --list or --host, and the script then runs fleet. Labels and drivers become groups (role=web becomes role_web). Ansible then connects through the same jump hosts as fleet, with the pinned host keys.',
  options: {
    list: flag('--list', 'print all machines as JSON for Ansible'),
    host: text('--host <machine>', 'print one machine as JSON for Ansible', 'nothing'),
  },
  targets: 'many',
  examples: [
    'fleet export ansible > inventory && chmod +x inventory',
    'ansible -i inventory role_web -m ping',
  ],
  async run({ fleet, io, options, targets }) {
    const { ansibleScript, describeForAnsible } = await import('../../operations/export/ansible.ts')
    if (!options.list && options.host === undefined) {
      io.stdout.write(ansibleScript)
      return
    }
    const { describeForSsh } = await import('../../operations/export/ssh-client-config.ts')
    const includes = await fleet.sshIncludes()
    const { config, knownHosts, skipped } = await describeForSsh(fleet, includes.knownHosts)
    reportSkipped(io, skipped)
    await includes.writeKnownHosts(knownHosts)
    const sshConfig = await includes.writeStandalone(config)
    const inventory = describeForAnsible(await readyMachines({ fleet, targets }), sshConfig)
    const { host } = options
    const vars = new Map(Object.entries((inventory['_meta'] as { hostvars: object }).hostvars))
    const answer: unknown = host === undefined ? inventory : (vars.get(host) ?? {})
    io.stdout.write(`${JSON.stringify(answer, undefined, 2)}\n`)
  },
})

const terraformImport = defineCommand({
  name: 'terraform-import',
  summary: 'Print import blocks for Terraform',
  description:
    'Print Terraform (1.5 or later) or OpenTofu import blocks for hosts that have a provider ID. To generate the configuration from them, run terraform plan -generate-config-out=hosts.tf.',
  targets: 'many',
  examples: ['fleet export terraform-import > import.tf'],
  async run({ fleet, io, targets }) {
    const { describeForTerraform } = await import('../../operations/export/terraform.ts')
    const { text, skipped } = describeForTerraform(await readyMachines({ fleet, targets }))
    io.stdout.write(text)
    if (skipped.length > 0) {
      io.stderr.write(`skipped hosts without a provider ID: ${foldNames(skipped)}\n`)
    }
  },
})

/** The port of the Prometheus node exporter. */
const defaultPort = 9100

const prometheus = defineCommand({
  name: 'prometheus',
  summary: 'Print machines as Prometheus targets',
  description:
    "Print machines as targets for Prometheus file_sd_configs. Each target has its machine's labels, plus machine and driver labels.",
  options: {
    port: parsed('--port <port>', `port to scrape (default: ${defaultPort})`, (word) =>
      parseCount(word),
    ),
  },
  targets: 'many',
  examples: ['fleet export prometheus --port 9323 > targets.json'],
  async run({ fleet, io, options, targets }) {
    const { port = defaultPort } = options
    if (port > 65_535) throw new UserError('usage', `${port} is not a valid port`)
    const { describeForPrometheus } = await import('../../operations/export/prometheus.ts')
    const groups = describeForPrometheus(await readyMachines({ fleet, targets }), port)
    io.stdout.write(`${JSON.stringify(groups, undefined, 2)}\n`)
  },
})

/** The commands of `fleet export`. */
export const exportCommands: CommandGroup = {
  name: 'export',
  summary: 'Export machines to other tools',
  commands: [ansible, terraformImport, prometheus],
}
