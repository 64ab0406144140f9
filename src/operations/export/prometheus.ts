import type { ReadyMachine } from '../../machine/machine.ts'
import { checkHostName } from '../../machine/ssh-config-text.ts'

/** What Prometheus is to scrape (its configuration, <file_sd_config>). */
interface TargetGroup {
  readonly targets: readonly [string]
  readonly labels: Readonly<Record<string, string>>
}

const labelName = (text: string): string => text.replaceAll(/\W/g, '_').replace(/^(?=\d)/, '_')

/** An address of IPv6 stands in brackets before a port. */
const hostPort = (address: string, port: number): string =>
  `${address.includes(':') ? `[${address}]` : address}:${port}`

/** Describes machines for Prometheus: each at its address, with its labels and its name. */
export const describeForPrometheus = (
  machines: readonly ReadyMachine[],
  port: number,
): readonly TargetGroup[] =>
  machines.map(({ name, driver, host, labels = {} }) => ({
    targets: [hostPort(checkHostName(name, 'address', host.address ?? 'localhost'), port)],
    labels: {
      ...Object.fromEntries(Object.entries(labels).map(([key, value]) => [labelName(key), value])),
      machine: name,
      driver,
    },
  }))
