import { type LabHost, startLab } from '../../lab/lab.ts'
import type { Host, HostSource } from './hosts.ts'
import { makeAddressPool, setPublicAddress } from './public-addresses.ts'
import { type WantedHost, readUserData } from './user-data.ts'

/** Options for the lab hosts of instances. */
export interface LabHostOptions {
  /** Number of hosts that are created in advance (default: 2). If all of them are in use, more are created. */
  readonly spare?: number
  /** Installs a Docker engine, as user-data would have done, with the image `bb:1`. */
  readonly engine?: boolean
}

const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`

/** A script that kills all processes on a host except PID 1 and the engine, and resets its disk. */
const reimage = `
set -u
if [ -S /var/run/docker.sock ]; then
  containers=$(docker ps -aq)
  [ -z "$containers" ] || docker rm -fv $containers
  docker images -q --no-trunc | sort -u | grep -vxF "$(docker images -q --no-trunc bb:1)" | xargs -r docker rmi -f
  docker volume ls -q | xargs -r docker volume rm -f
  docker network prune -f
fi >/dev/null 2>&1
for pid in $(ps -eo pid=,comm= | awk '$2 !~ /^(dockerd|containerd|sleep|ps|awk)$/ && $1 != 1 { print $1 }'); do
  [ "$pid" = $$ ] || kill -9 "$pid" 2>/dev/null
done
if [ -e /srv/.pristine.tar ]; then
  find /srv -mindepth 1 -maxdepth 1 ! -name .pristine.tar -exec rm -rf {} +
  rm -rf /etc/sudoers.d /etc/ssh /etc/docker/daemon.json
  tar -C / -xpf /srv/.pristine.tar
else
  rm -rf /srv/*
  mkdir -m 700 /srv/root
  tar -C / -cpf /srv/.pristine.tar etc/passwd etc/shadow etc/group etc/gshadow etc/sudoers.d etc/ssh etc/hostname srv/root
fi
rm -rf /run/cloud-init
exit 0
`

/**
 * Returns a shell command that creates an account. Home directories are in /srv, because a lab host shares /home with
 * the machine.
 */
function makeAccount(
  { name, keys, groups, sudo }: WantedHost['accounts'][number],
  index: number,
): string {
  const id = 2000 + index
  const home = name === 'root' ? '/srv/root' : `/srv/${name}`
  const account = `
sed -i ${quote(`/^${name}:/d`)} /etc/passwd /etc/shadow
echo ${quote(`${name}:x:${id}:${id}::${home}:/bin/bash`)} >>/etc/passwd
echo ${quote(`${name}:*:19000:0:99999:7:::`)} >>/etc/shadow
grep -q ${quote(`^${name}:`)} /etc/group || echo ${quote(`${name}:x:${id}:`)} >>/etc/group`
  const membership = groups.map(
    (group) => `
grep -q ${quote(`^${group}:`)} /etc/group || echo ${quote(`${group}:x:${3000 + index}:`)} >>/etc/group
sed -i ${quote(`s/^\\(${group}:.*[^:]\\)$/\\1,${name}/; s/^\\(${group}:.*:\\)$/\\1${name}/`)} /etc/group`,
  )
  const rules = sudo.map((rule) => `${name} ${rule}\n`).join('')
  return `${name === 'root' ? '' : account}${membership.join('')}
mkdir -p ${home}/.ssh
printf %s ${quote(keys.map((key) => `${key}\n`).join(''))} >${home}/.ssh/authorized_keys
chmod 700 ${home}/.ssh; chmod 600 ${home}/.ssh/authorized_keys; chown -R ${name === 'root' ? 0 : id} ${home}
${rules === '' ? '' : `printf %s ${quote(rules)} >/etc/sudoers.d/90-${name}; chmod 440 /etc/sudoers.d/90-${name}`}
`
}

/** A script that writes the status files of a successful cloud-init run. */
const cloudInitDone = `
mkdir -p /run/cloud-init
echo '{"v1": {"datasource": "DataSourceEc2Local", "errors": []}}' >/run/cloud-init/result.json
echo '{"v1": {"datasource": "DataSourceEc2Local", "stage": null}}' >/run/cloud-init/status.json
`

const applySeed = (wanted: WantedHost) => `
set -eu
mkdir -p /etc/sudoers.d /etc/ssh /run/sshd
${wanted.accounts.map(makeAccount).join('')}
rm -f /etc/ssh/ssh_host_*
${
  wanted.hostKey === undefined
    ? `ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key`
    : `(umask 077; printf %s ${quote(wanted.hostKey)} >/etc/ssh/ssh_host_ed25519_key)
ssh-keygen -y -f /etc/ssh/ssh_host_ed25519_key >/etc/ssh/ssh_host_ed25519_key.pub`
}
${wanted.hostname === undefined ? '' : `hostname ${quote(wanted.hostname)}; echo ${quote(wanted.hostname)} >/etc/hostname`}
${cloudInitDone}
/usr/sbin/sshd -E /var/log/sshd.log
`

async function runOn(host: LabHost, script: string): Promise<void> {
  const { code, stderr } = await host.exec(script, { cwd: '/' })
  if (code !== 0) throw new Error(`${host.name}: ${stderr}`)
}

/** Returns a source of hosts in one lab, which are reused. A released host is reset in the background. */
export async function makeLabHosts({
  spare = 2,
  engine = false,
}: LabHostOptions): Promise<HostSource> {
  const lab = await startLab({ hosts: spare, engine, image: engine })
  const ready = lab.hosts.map((host) => runOn(host, reimage).then(() => host))
  await Promise.all(ready)
  const giveBack = (host: LabHost) => {
    const renew = async () => {
      await host.start()
      await runOn(host, setPublicAddress(undefined) + reimage)
      return host
    }
    const renewed = renew()
    ready.push(renewed)
    return renewed
  }
  const takeHost = async () => {
    const host = ready.shift()
    if (host) return host
    const added = await lab.add()
    await runOn(added, reimage)
    return added
  }
  return {
    newAddress: makeAddressPool(lab.network),
    lease: async () => leaseHost(await takeHost(), giveBack),
    async [Symbol.asyncDispose]() {
      await Promise.allSettled(ready)
      await lab[Symbol.asyncDispose]()
    },
  }
}

function leaseHost(host: LabHost, giveBack: (host: LabHost) => Promise<unknown>): Host {
  const answerOn = (address: string | undefined) => runOn(host, setPublicAddress(address))
  return {
    privateAddress: host.address,
    answerOn,
    boot: (seed, address) => runOn(host, setPublicAddress(address) + applySeed(readUserData(seed))),
    async start(address) {
      await host.start()
      await runOn(host, setPublicAddress(address) + cloudInitDone)
    },
    stop: (force) => (force ? host.kill() : host.stop()),
    drop: (on) => host.drop(on),
    async release() {
      await giveBack(host)
    },
  }
}
