import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { type Server, createServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { buildAptRepository } from '../apt-repository/apt-repository.ts'
import type { Package } from '../apt-repository/package.ts'
import { findSources } from '../booted-host/root-folder.ts'
import { makeCertificates } from '../certificates.ts'

const host = 'download.docker.com'

/** A stand-in for Docker's package repository for Debian, over HTTPS. */
export interface DockerRepository extends AsyncDisposable {
  /** The fingerprint of its signing key. */
  readonly fingerprint: string
  /** A cloud-config that makes a host use this repository instead of Docker's. */
  readonly cloudConfig: string
  /** Whether every request fails with status 503. */
  down: boolean
}

const unit = `[Service]
Type=notify
ExecStart=/usr/bin/dockerd
KillMode=process
Delegate=yes
[Install]
WantedBy=multi-user.target
`

/** The directory of this computer's engine on a host. It is large, so one package contains it for all versions. */
const engine = '/usr/libexec/lab-engine'
const passOn = (program: string) => `#!/bin/sh\nexec ${engine}/${program} "$@"\n`

/**
 * Returns a docker CLI that reports the package's version instead of the engine's, because the engine is this
 * computer's.
 */
const tellVersion = (version: string) => `#!/bin/sh
case "$*" in
  *'version --format {{.Server.Version}}') ${engine}/docker "$@" >/dev/null && echo '${version}' ;;
  *) exec ${engine}/docker "$@" ;;
esac
`

const containerd: Package = {
  name: 'containerd.io',
  version: '1.7.27-1',
  depends: 'libdevmapper1.02.1, libseccomp2',
  programs: {
    [`${engine}/dockerd`]: { from: '/usr/sbin/dockerd' },
    [`${engine}/docker`]: { from: '/usr/bin/docker' },
    'usr/bin/containerd': { from: '/usr/bin/containerd' },
    'usr/bin/containerd-shim-runc-v2': { from: '/usr/bin/containerd-shim-runc-v2' },
    'usr/bin/runc': { from: '/usr/sbin/runc' },
  },
}

/** Returns packages of one version that are like Docker's. They also start the engine. */
const enginePackages = (version: string): Package[] => [
  {
    name: 'docker-ce-cli',
    version,
    programs: { 'usr/bin/docker': tellVersion(plainVersion(version)) },
  },
  {
    name: 'docker-ce',
    version,
    depends: 'containerd.io, docker-ce-cli, iptables',
    programs: { 'usr/bin/dockerd': passOn('dockerd') },
    files: { 'lib/systemd/system/docker.service': unit },
    scripts: {
      postinst: `#!/bin/sh -e
getent group docker >/dev/null || groupadd --system docker
systemctl daemon-reload
systemctl enable docker.service
systemctl restart docker.service # as Docker's own packages do after an upgrade
`,
      prerm: '#!/bin/sh\n[ "$1" = upgrade ] || systemctl disable --now docker.service\n',
    },
  },
]

const { suite } = findSources()

/** Converts a package version such as `5:28.2.10-1~debian~bookworm` to the engine version, `28.2.10`. */
export const plainVersion = (version: string): string =>
  version
    .replace(/^5:/, '')
    .replace(/-1~debian~.*$/, '')
    .replaceAll('~', '-')

/** Converts an engine version such as `28.2.10` to Docker's package version for this Debian release. */
export const packageVersion = (version: string): string => `5:${version}-1~debian~${suite}`

const channel = (versions: readonly string[]) => [
  containerd,
  ...versions.flatMap((version) => enginePackages(packageVersion(version))),
]

/** Creates an HTTPS server for the files in `root`, under the path of Docker's repository. */
function serveFiles(root: string, isDown: () => boolean, options: { key: string; cert: string }) {
  return createServer(options, (request, response) => {
    const path = new URL(request.url ?? '', `https://${host}`).pathname.replace(
      /^\/linux\/debian/,
      '',
    )
    const file = join(root, decodeURIComponent(path))
    const answer = async () => {
      const found = await stat(file).catch(() => undefined)
      const code = isDown() ? 503 : found?.isFile() === true ? 200 : 404
      response.writeHead(code, { 'Content-Length': code === 200 ? found?.size : 0 })
      await pipeline(code === 200 ? createReadStream(file) : [], response)
    }
    answer().catch(() => response.destroy())
  })
}

async function close(server: Server): Promise<void> {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
}

/**
 * Creates a repository with Docker packages in the given versions, keyed by channel, and serves it at a lab address.
 */
export async function serveDockerRepository(
  address: string,
  channels: Readonly<Record<'stable' | 'test', readonly string[]>>,
): Promise<DockerRepository> {
  const folder = await mkdtemp(join(tmpdir(), 'docker-repository-'))
  const root = join(folder, 'debian')
  const components = { stable: channel(channels.stable), test: channel(channels.test) }
  const fingerprint = await buildAptRepository(root, { name: suite, components })
  const certificates = await makeCertificates(folder, [host])
  const server = serveFiles(root, () => repository.down, certificates)
  server.listen(443, address)
  await once(server, 'listening')
  const trust = `cat >/usr/local/share/ca-certificates/lab.crt <<END
${certificates.ca}END
update-ca-certificates`
  const repository: DockerRepository = {
    fingerprint,
    cloudConfig: `#cloud-config
bootcmd: ${JSON.stringify([`echo '${address} ${host}' >>/etc/hosts`, trust])}
`,
    down: false,
    async [Symbol.asyncDispose]() {
      await close(server)
      await rm(folder, { recursive: true, force: true })
    },
  }
  return repository
}
