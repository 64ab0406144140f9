import type { ReadyMachine } from '../../machine/machine.ts'
import { checkHostName } from '../../machine/ssh-config-text.ts'

/** A target group of Prometheus (configuration, <file_sd_config>). */
interface TargetGroup {
  readonly targets: readonly [string]
  readonly labels: Readonly<Record<string, string>>
}

const labelName = (text: string): string => text.replaceAll(/\W/g, '_').replace(/^(?=\d)/, '_')

/** Formats a host and a port, with brackets around an IPv6 address. */
const hostPort = (address: string, port: number): string =>
  `${address.includes(':') ? `[${address}]` : address}:${port}`

/** Describes machines as Prometheus targets, with their labels and names. */
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
