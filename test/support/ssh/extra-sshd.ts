import type { LabHost } from '../lab/lab.ts'
import { answersSsh } from '../lab/probes.ts'
import { until } from '../lab/process.ts'

/**
 * Starts another sshd on `port` of a host, with `settings` that take precedence over sshd_config, and waits until it
 * listens. Its log is `/run/sshd-PORT.log` on the host.
 */
export async function startExtraSshd(
  host: LabHost,
  port: number,
  settings: Readonly<Record<string, string>>,
): Promise<void> {
  const all = { ...settings, Port: String(port), PidFile: `/run/sshd-${port}.pid` }
  const lines = Object.entries(all).map(([name, value]) => `${name} ${value}`)
  const { code, stderr } = await host.exec(
    `{ echo '${lines.join("'; echo '")}'; cat /etc/ssh/sshd_config; } > /etc/ssh/sshd-${port}
    /usr/sbin/sshd -f /etc/ssh/sshd-${port} -E /run/sshd-${port}.log`,
  )
  if (code !== 0) throw new Error(`cannot start sshd on ${host.name}: ${stderr}`)
  // sshd forks into the background before it listens.
  const isUp = async () => (await answersSsh(host.address, port)) || undefined
  await until(`sshd to listen on port ${port} of ${host.name}`, isUp)
}
