import type { Environment } from '../../os/environment.ts'

/** Returns the path in `DOCKER_HOST`, if it is a Unix socket. */
export const socketInDockerHost = (env: Environment): string | undefined =>
  env['DOCKER_HOST']?.match(/^unix:\/\/(\/.*)$/)?.[1]

/** Socket paths, relative to the user's runtime directory. */
const inRuntimeFolder = ['docker.sock', 'podman/podman.sock']

/**
 * Pattern for socket paths, relative to a home directory: Docker Desktop, Colima, OrbStack, Rancher Desktop, Lima, and
 * Podman machines.
 */
const inHome =
  /^(?:\.docker\/(?:run|desktop)\/docker|\.(?:config\/)?colima\/(?:[A-Za-z0-9][\w-]*\/)?docker|\.orbstack\/run\/docker|\.rd\/docker|\.lima\/[A-Za-z0-9][\w-]*\/sock\/(?:docker|podman)|\.local\/share\/containers\/podman\/machine\/(?:[A-Za-z0-9][\w-]*\/)?podman)\.sock$/

/**
 * Whether `path` is one of the usual engine sockets, or the socket in the user's `DOCKER_HOST`. An inventory could name
 * any other socket, and requests could then reach a program that is not an engine.
 */
export function isEngineSocket(path: string, env: Environment): boolean {
  const { XDG_RUNTIME_DIR: runtime, HOME: home } = env
  const uid = process.getuid?.()
  const runtimeFolders = [
    ...(runtime ? [runtime] : []),
    ...(uid === undefined ? [] : [`/run/user/${uid}`]),
  ]
  const usual = [
    ...['/var/run', '/run'].flatMap((folder) => [
      `${folder}/docker.sock`,
      `${folder}/podman/podman.sock`,
    ]),
    ...runtimeFolders.flatMap((folder) => inRuntimeFolder.map((name) => `${folder}/${name}`)),
  ]
  if (usual.includes(path) || path === socketInDockerHost(env)) return true
  return !!home && path.startsWith(`${home}/`) && inHome.test(path.slice(home.length + 1))
}
