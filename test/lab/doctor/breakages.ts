import { once } from 'node:events'
import { connect } from 'node:net'
import type { LabHost } from '../../support/lab/lab.ts'
import { startExtraSshd } from '../../support/ssh/extra-sshd.ts'

/** Fields of an entry's record and options that differ from those of a healthy host. */
interface Login {
  readonly address?: string
  readonly port?: number
  readonly user?: string
  readonly key?: string
  readonly sshAlias?: string
}

/** Parts of the lab that a breakage can use. */
interface Bench {
  readonly host: LabHost
  /** Public key and fingerprint of a key pair that only an SSH agent has, which is no longer running. */
  readonly agentKey: { readonly publicKey: string; readonly fingerprint: string }
  /** Registers a function that is called at the end, for example to close connections that exhaust a server's limit. */
  readonly held: (dispose: () => void) => void
  /** Logs in through the broker before the host is broken. */
  readonly warm: () => Promise<void>
  /** Writes the user's SSH configuration. The inventory may refer to its host "office". */
  readonly configureSsh: (text: string) => Promise<void>
}

/** A defect of a host, and the finding that `fleet doctor` must report for it. */
export interface Breakage {
  readonly name: string
  /** The host to break: a separate host without an engine (the default), or a shared one with an engine. */
  readonly on?: 'engine' | 'hung'
  /** Set if the machine should have an engine. */
  readonly hasEngine?: true
  readonly via?: string
  /** Breaks the host. Resolves to the login that the doctor must use, if it is not the default. */
  readonly break: (bench: Bench) => Promise<Login | void>
  /** ID of the only check that is not ok. */
  readonly check: string
  readonly state?: 'warn'
  readonly says: RegExp
  /** Pattern that the suggested fix must match; by default, any text. */
  readonly fix?: RegExp
  /** Checks that are skipped because of the defect. */
  readonly skips?: readonly string[]
}

const run = async (host: LabHost, script: string): Promise<string> => {
  const { code, stdout, stderr } = await host.exec(`set -e\n${script}`)
  if (code !== 0) throw new Error(`${host.name}: ${stderr || stdout}`)
  return stdout
}

/** Port of the additional sshd of a host. */
const extraPort = 2201

const firewall = (rule: string) => (bench: Bench) =>
  run(bench.host, `iptables -w -A INPUT -p tcp --dport 22 -j ${rule}`).then(() => {})

/** Edits a file of a host in place with a sed script. */
const edit = (file: string, script: string) => (bench: Bench) =>
  run(bench.host, `sed -i '${script}' ${file}`).then(() => {})

/** Replaces a program of one host with a script. The original program is /run/PROGRAM.real. */
const wrap = (host: LabHost, program: string, body: string) =>
  run(
    host,
    `name=$(readlink -f "$(command -v ${program})")
    cp "$name" /run/${program}.real
    printf '%s\\n' '#!/bin/sh' '${body}' > /run/${program}.wrapped
    chmod 755 /run/${program}.wrapped
    mount --bind /run/${program}.wrapped "$name"`,
  )

const fill = (options: string, more: string) => (bench: Bench) =>
  run(
    bench.host,
    `mount -t tmpfs -o ${options} tmpfs /var/lib/docker; cd /var/lib/docker; ${more}`,
  ).then(() => {})

/** Adds an account with these shadow(5) fields to a host, with an sshd that uses PAM. Resolves to its login. */
async function withPam({ host }: Bench, shadow: string): Promise<Login> {
  await run(
    host,
    `echo 'pat:x:2000:2000::/srv/pat:/bin/bash' >> /etc/passwd
    echo 'pat:*:${shadow}' >> /etc/shadow
    mkdir -p /srv/pat/.ssh && cp /srv/root/.ssh/authorized_keys /srv/pat/.ssh && chown -R 2000:2000 /srv/pat`,
  )
  await startExtraSshd(host, extraPort, { UsePAM: 'yes' })
  return { user: 'pat', port: extraPort }
}

/** Starts a server with Node.js on a host, and waits until it listens. */
async function serve({ host, held }: Bench, code: string): Promise<void> {
  const child = host.spawn([
    process.execPath,
    '-e',
    `${code}.on('listening', () => console.log('up'))`,
  ])
  held(() => child.kill('SIGKILL'))
  await new Promise<void>((resolve, reject) => {
    child.stdout?.once('data', () => resolve())
    child.once('exit', (exit) => reject(new Error(`the server ended with ${exit}`)))
  })
}

/** A token that a host prints. No output of fleet may contain it. */
export const hostToken = `ghp_${'Zq7'.repeat(12)}`

export const breakages: readonly Breakage[] = [
  {
    name: 'unknown-address',
    break: async () => ({ address: 'nowhere.invalid' }),
    ...{ check: 'name', says: /cannot resolve the host name nowhere\.invalid/ },
    skips: ['route', 'port', 'banner', 'host-key', 'login', 'shell', 'disk'],
  },
  {
    name: 'rejected-packets',
    break: firewall('REJECT --reject-with tcp-reset'),
    ...{ check: 'port', says: /port 22 on .* refuses connections/ },
    skips: ['banner', 'host-key', 'login', 'shell', 'mtu', 'clock'],
  },
  {
    name: 'dropped-packets',
    break: firewall('DROP'),
    check: 'port',
    says: /does not answer: .*firewall/,
  },
  {
    name: 'no-route',
    break: firewall('REJECT --reject-with icmp-host-unreachable'),
    ...{ check: 'port', says: /no route to / },
  },
  {
    name: 'sshd-down',
    break: ({ host }) => host.killSshd(),
    ...{ check: 'port', says: /sshd is not running/, fix: /systemctl start ssh/ },
  },
  {
    name: 'silent-sshd',
    break: async ({ host }) => host.pause(),
    ...{ check: 'banner', says: /sends no SSH banner/ },
  },
  {
    name: 'not-ssh',
    async break(bench) {
      await serve(bench, `require('http').createServer((_, answer) => answer.end()).listen(8022)`)
      return { port: 8022 }
    },
    ...{ check: 'banner', says: /is not an SSH server.*HTTP\/1\.1 400/, fix: /"port" .*not-ssh/ },
  },
  {
    name: 'endless-banner',
    async break(bench) {
      await serve(
        bench,
        `require('net').createServer((socket) => { socket.on('error', () => {}); const send = () => { while (socket.write('x'.repeat(65536))); socket.once('drain', send) }; send() }).listen(8022)`,
      )
      return { port: 8022 }
    },
    ...{ check: 'banner', says: /is not an SSH server: it printed "x{20}/ },
  },
  {
    name: 'max-startups',
    async break({ host, held }) {
      await startExtraSshd(host, extraPort, { MaxStartups: '1', LoginGraceTime: '600' })
      // sshd refuses connections until it notices that the connection opened by startExtraSshd has closed.
      for (let isHeld = false; !isHeld;) {
        const socket = connect({ host: host.address, port: extraPort })
        held(() => socket.destroy())
        const [greeting] = (await once(socket, 'data')) as [Buffer]
        isHeld = greeting.toString('latin1').startsWith('SSH-')
      }
      return { port: extraPort }
    },
    ...{ check: 'banner', says: /rejects new connections.*MaxStartups/ },
  },
  {
    name: 'changed-host-key',
    // The record keeps the first key, although the lab knows the new one.
    break: ({ host }) => host.replaceHostKey().then(() => {}),
    ...{
      check: 'host-key',
      says: /host key .* has changed/,
      fix: /run fleet rekey changed-host-key$/,
    },
    skips: ['login', 'shell'],
  },
  {
    name: 'wrong-key',
    break: ({ host, agentKey }) =>
      run(host, `echo '${agentKey.publicKey}' > /srv/root/.ssh/authorized_keys`).then(() => {}),
    ...{ check: 'login', says: /accepts none of the keys offered: SHA256:.*id_ed25519/ },
    fix: /authorized_keys/,
  },
  {
    name: 'no-agent',
    async break({ host, agentKey }) {
      await run(host, `echo '${agentKey.publicKey}' > /srv/root/.ssh/authorized_keys`)
      return { key: agentKey.fingerprint }
    },
    ...{ check: 'login', says: /SSH agent on this computer does not answer/, fix: /ssh-add/ },
  },
  {
    name: 'writable-ssh-dir',
    async break({ host, warm }) {
      await warm()
      await run(host, 'chmod 777 /srv/root/.ssh')
    },
    ...{
      check: 'login',
      says: /ignores root's authorized_keys file: other users can write to \/srv\/root\/\.ssh/,
    },
    fix: /^fleet ssh writable-ssh-dir -- chmod go-w \/srv\/root\/\.ssh$/,
  },
  {
    name: 'expired-account',
    break: (bench) => withPam(bench, '19000:0:99999:7::1:'),
    ...{ check: 'login', says: /accepted the key .* closed the connection/, fix: /chage -l pat/ },
  },
  {
    name: 'expired-password',
    break: (bench) => withPam(bench, '0:0:99999:7:::'),
    ...{ check: 'shell', says: /must be changed first/, fix: /chage -d/ },
  },
  {
    name: 'no-shell',
    break: edit('/etc/passwd', 's,^\\(root:.*\\):[^:]*$,\\1:/usr/sbin/nologin,'),
    ...{ check: 'shell', says: /cannot run commands: .*not available/ },
  },
  {
    name: 'noisy-shell',
    break: ({ host }) =>
      run(host, `echo "echo welcome ${hostToken}" > /srv/root/.bashrc`).then(() => {}),
    ...{ check: 'shell', state: 'warn', says: /the login shell prints "welcome/, fix: /bashrc/ },
  },
  {
    name: 'hung-shell',
    break: ({ host }) => run(host, 'echo "sleep 1000" > /srv/root/.bashrc').then(() => {}),
    ...{ check: 'shell', says: /login shell did not run a command/, fix: /startup files/ },
  },
  {
    name: 'no-sessions',
    async break({ host }) {
      await startExtraSshd(host, extraPort, { MaxSessions: '0' })
      return { port: extraPort }
    },
    ...{ check: 'shell', says: /refused to run a command/, fix: /MaxSessions/ },
  },
  {
    name: 'one-session',
    async break({ host }) {
      await startExtraSshd(host, extraPort, { MaxSessions: '1' })
      return { port: extraPort }
    },
    ...{ check: 'sessions', state: 'warn', says: /only 1 concurrent session/, fix: /MaxSessions/ },
  },
  {
    name: 'small-mtu',
    break: ({ host }) =>
      run(
        host,
        `iptables -w -A INPUT -p tcp -m length --length 1300:65535 -j DROP
        iptables -w -A OUTPUT -p tcp -m length --length 1300:65535 -j DROP`,
      ).then(() => {}),
    ...{ check: 'mtu', says: /large ones are lost/, fix: /mtu 1280/ },
    skips: ['clock', 'disk', 'sessions'],
  },
  {
    name: 'small-mtu-back',
    break: ({ host }) =>
      run(host, 'iptables -w -A OUTPUT -p tcp -m length --length 1300:65535 -j DROP').then(
        () => {},
      ),
    ...{
      check: 'mtu',
      says: /large packets from the host are lost/,
      fix: /^lower the MTU of the host.*fleet ssh .* mtu 1280$/,
    },
  },
  {
    name: 'wrong-clock',
    break: ({ host }) =>
      wrap(host, 'date', 'exec /run/date.real -d "1 hour ago" "$@"').then(() => {}),
    ...{ check: 'clock', says: /60 min behind/ },
  },
  {
    name: 'unwritable-home',
    async break({ host }) {
      await run(host, 'chown root:root /srv/ana && chmod 755 /srv/ana')
      return { user: 'ana' }
    },
    ...{
      check: 'home',
      says: /ana cannot write to the home directory \/srv\/ana \(root:root, mode 755\)/,
    },
  },
  {
    name: 'full-disk',
    hasEngine: true,
    break: fill('size=8m', 'head -c 8m /dev/zero > full || true'),
    ...{
      check: 'disk',
      says: /file system that contains \/var\/lib\/docker is full: 0 MiB of 8 MiB/,
    },
    skips: ['engine'],
  },
  {
    name: 'no-free-inodes',
    hasEngine: true,
    break: fill(
      'size=900m,nr_inodes=200',
      'for n in $(seq 300); do touch $n || true; done 2>/dev/null',
    ),
    ...{ check: 'disk', says: /\/var\/lib\/docker is full \(inodes\): 0 of 200 inodes/ },
    skips: ['engine'],
  },
  {
    name: 'failed-cloud-init',
    hasEngine: true,
    break: ({ host }) =>
      run(
        host,
        `mkdir -p /run/cloud-init
        printf '{\\n "v1": {\\n  "datasource": "DataSourceNone",\\n  "errors": [\\n   "apt failed with token ${hostToken}"\\n  ]\\n }\\n}\\n' > /run/cloud-init/result.json`,
      ).then(() => {}),
    ...{
      check: 'cloud-init',
      says: /cloud-init failed on the host: apt failed/,
      fix: /cloud-init status --long/,
    },
    skips: ['engine'],
  },
  {
    name: 'engine-down',
    hasEngine: true,
    break: async () => {},
    ...{
      check: 'engine',
      says: /engine is not running: nothing is listening on \/var\/run\/docker\.sock/,
    },
    fix: /^fleet ssh engine-down -- (?:service docker start|systemctl start docker)$/,
    skips: ['socket'],
  },
  {
    name: 'old-engine',
    hasEngine: true,
    break: (bench) =>
      serve(
        bench,
        `require('http').createServer((request, answer) => {
          answer.setHeader('Api-Version', '1.24')
          if (request.url === '/_ping') return answer.end('OK')
          answer.statusCode = 400
          answer.end(JSON.stringify({ message: 'client is newer than server' }))
        }).listen('/run/docker.sock')`,
      ),
    ...{
      check: 'engine',
      says: /supports API 1\.24; fleet requires/,
      fix: /^fleet upgrade old-engine/,
    },
  },
  {
    name: 'hung-engine',
    ...{ on: 'hung', hasEngine: true },
    break: ({ host }) => run(host, 'kill -STOP "$(cat /run/docker.pid)"').then(() => {}),
    ...{ check: 'engine', says: /the engine is hung/, fix: /restart/ },
  },
  {
    name: 'socket-mode',
    ...{ on: 'hung', hasEngine: true },
    async break({ host }) {
      await run(host, 'chown root:root /run/docker.sock && chmod 600 /run/docker.sock')
      return { user: 'ana' }
    },
    ...{
      check: 'socket',
      says: /ana does not have permission to use .*docker\.sock \(root:root, mode 600\)/,
    },
    fix: /chgrp docker/,
    skips: ['engine'],
  },
  {
    name: 'no-sudo',
    ...{ on: 'engine', hasEngine: true },
    async break({ host }) {
      await run(host, 'rm /etc/sudoers.d/bob')
      return { user: 'bob' }
    },
    ...{
      check: 'sudo',
      says: /bob cannot use the engine: .*docker group/,
      fix: /usermod -aG docker bob/,
    },
    skips: ['socket', 'engine'],
  },
  {
    name: 'no-compose',
    ...{ on: 'engine', hasEngine: true },
    async break({ host }) {
      await run(host, 'rm -rf /srv/ana/.docker')
      return { user: 'ana' }
    },
    ...{
      check: 'compose',
      state: 'warn',
      says: /Docker Compose is not installed/,
      fix: /docker-compose/,
    },
  },
  {
    name: 'jump-host-down',
    via: 'sshd-down',
    break: async () => {},
    ...{ check: 'route', says: /jump host sshd-down: port 22 on .* refuses connections/ },
    skips: ['port', 'login', 'disk'],
  },
  {
    name: 'jump-host-key',
    via: 'changed-host-key',
    break: async () => {},
    ...{ check: 'route', says: /jump host changed-host-key: the host key .* has changed/ },
    fix: /run fleet rekey changed-host-key$/,
  },
  {
    name: 'proxy-command',
    async break({ configureSsh }) {
      const command = `sh -c 'echo the token of the company network has expired >&2; exit 3'`
      await configureSsh(`Host office\n  HostName 127.0.0.1\n  ProxyCommand ${command}\n`)
      return { sshAlias: 'office' }
    },
    ...{
      check: 'route',
      says: /ProxyCommand exited with code 3: .*the token of the company network has expired/,
    },
    skips: ['port', 'login', 'disk'],
  },
  {
    name: 'behind-jump-host',
    via: 'one-session',
    break: ({ host }) => host.killSshd(),
    ...{ check: 'port', says: /jump host one-session cannot connect/ },
  },
]
