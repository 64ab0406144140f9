import { dirname } from 'node:path'
import { execPath } from 'node:process'
import { fileURLToPath } from 'node:url'
import type { HostSpawnOptions } from '../../test/support/lab/host-processes.ts'
import type { LabHost } from '../../test/support/lab/lab.ts'
import type { Identity } from '../../test/support/lab/ssh-key.ts'

/** A user at the console of a host. */
export interface Seat {
  readonly host: LabHost
  /** The working directory and the environment of the user's shell. */
  readonly surroundings: HostSpawnOptions
}

const program = fileURLToPath(new URL('../../dist/main.js', import.meta.url))
const project = fileURLToPath(new URL('hello', import.meta.url))

/** Runs a shell script on a host. Returns its standard output. Throws if it fails. */
async function runOn(host: LabHost, script: string): Promise<string> {
  const { code, stdout, stderr } = await host.exec(`set -e\n${script}`)
  if (code !== 0) throw new Error(`${host.name}: setting the stage failed: ${stderr}`)
  return stdout
}

/** Returns the SHA256 fingerprint of a host's key, read on the host. */
export async function readFingerprint(host: LabHost): Promise<string> {
  const line = await runOn(host, 'ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub')
  return line.split(' ')[1] ?? ''
}

/**
 * Stops a host's engine, so that the demo can start it later. Its settings are saved to daemon.json, so that an engine
 * that is started later uses the control group that the lab removes.
 */
export async function stopEngine(host: LabHost): Promise<void> {
  await runOn(
    host,
    `engine=$(cat /run/docker.pid)
    group=$(tr '\\0' '\\n' </proc/$engine/cmdline | sed -n 's/^--cgroup-parent=//p')
    mkdir -p /etc/docker
    printf '{"cgroup-parent": "%s", "exec-opts": ["native.cgroupdriver=cgroupfs"]}\\n' "$group" >/etc/docker/daemon.json
    kill "$engine"
    while kill -0 "$engine" 2>/dev/null; do sleep 0.1; done`,
  )
}

/** Prepares a host for its root user: fleet on PATH, the login key of the other hosts, and a project directory. */
export async function openSeat(host: LabHost, identity: Identity): Promise<Seat> {
  const { home } = host
  await runOn(
    host,
    `install -m 600 '${identity.file}' ${home}/.ssh/id_ed25519
    mkdir ${home}/bin
    ln -s '${program}' ${home}/bin/fleet
    cp -R '${project}' ${home}/hello
    cp /bin/busybox ${home}/hello/`,
  )
  const path = [`${home}/bin`, dirname(execPath), '/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin']
  return { host, surroundings: { cwd: `${home}/hello`, env: { PATH: path.join(':') } } }
}
