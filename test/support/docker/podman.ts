import { join } from 'node:path'
import { cachedFolder } from '../files/cached-folder.ts'
import { unpackPackages } from '../files/unpack-packages.ts'
import { removeControlGroups } from '../lab/control-groups.ts'
import type { LabHost } from '../lab/host.ts'
import { until } from '../lab/process.ts'

const packages = {
  ofThisRelease:
    `podman conmon libgpgme11 libassuan0 libsubid4 libsemanage2 libsepol2 libdevmapper1.02.1 libglib2.0-0
    libseccomp2 netavark aardvark-dns golang-github-containers-common golang-github-containers-image`.split(
      /\s+/,
    ),
} as const

const socket = '/run/podman/podman.sock'

/** Returns settings for a host without systemd, with programs in the directory where they were unpacked. */
const settings = (root: string) => `[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "file"
helper_binaries_dir = ["${root}/usr/lib/podman"]
conmon_path = ["${root}/usr/bin/conmon"]
[network]
network_backend = "netavark"
`
const storage = `[storage]
driver = "vfs"
graphroot = "/var/lib/docker/podman"
runroot = "/run/containers"
`

/** Podman's API service on a lab host without a Docker engine. Disposing of it stops the host. */
export interface Podman extends AsyncDisposable {
  /** The path of its socket, as seen by the host. */
  readonly socket: string
  /** The path of its socket, as seen by this process. */
  readonly socketHere: string
}

/** Starts Podman (Debian packages, 15 MB, downloaded on first use) on a host, and waits until it answers. */
export async function startPodman(host: LabHost): Promise<Podman> {
  const unpacked = await cachedFolder('podman', packages, (place) =>
    unpackPackages(place, packages),
  )
  const root = join(unpacked, 'root')
  const prepared = await host.exec(`set -e
mkdir -p /run/podman /etc/containers
cp -r ${root}/etc/containers/. /etc/containers
cp ${root}/usr/share/containers/seccomp.json /etc/containers
cat > /etc/containers/containers.conf <<'END'
${settings(root)}END
cat > /etc/containers/storage.conf <<'END'
${storage}END
`)
  if (prepared.code !== 0) throw new Error(`Podman was not set up: ${prepared.stderr}`)
  const program = `LD_LIBRARY_PATH=$(echo ${root}/usr/lib/*-linux-gnu) ${root}/usr/bin/podman`
  const service = host.spawn([
    'sh',
    '-c',
    `exec env ${program} system service -t 0 unix://${socket}`,
  ])
  let words = ''
  service.stderr?.on('data', (chunk: Buffer) => (words += chunk.toString()))
  await until('Podman to answer', async () => {
    if (service.exitCode !== null) throw new Error(`Podman ended: ${words}`)
    const { code } = await host.exec(`curl -sf --unix-socket ${socket} http://podman/_ping`)
    return code === 0 || undefined
  })
  return {
    socket,
    socketHere: host.engineSocket.replace(/\/run\/docker\.sock$/, socket),
    async [Symbol.asyncDispose]() {
      await host.kill() // also kills all containers
      await until('the control groups to be empty', () => {
        try {
          removeControlGroups('libpod_parent')
          return true
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error
          return undefined
        }
      })
    },
  }
}
