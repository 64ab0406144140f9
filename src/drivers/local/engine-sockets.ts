type Environment = Readonly<Record<string, string | undefined>>

/** Where Docker listens unless it is told otherwise. */
export const defaultSocket = '/var/run/docker.sock'

/** The socket of this computer that `DOCKER_HOST` names, if it names one. */
export const socketInDockerHost = (env: Environment): string | undefined =>
  env['DOCKER_HOST']?.match(/^unix:\/\/(\/.*)$/)?.[1]

/** Below the folder of a user's runtime files. */
const inRuntimeFolder = ['docker.sock', 'podman/podman.sock']

/** Below a home: Docker Desktop, Colima, OrbStack, Rancher Desktop, Lima, and the machine of Podman. */
const inHome =
  /^(?:\.docker\/(?:run|desktop)\/docker|\.(?:config\/)?colima\/(?:[A-Za-z0-9][\w-]*\/)?docker|\.orbstack\/run\/docker|\.rd\/docker|\.lima\/[A-Za-z0-9][\w-]*\/sock\/(?:docker|podman)|\.local\/share\/containers\/podman\/machine\/(?:[A-Za-z0-9][\w-]*\/)?podman)\.sock$/

/**
 * Whether engines listen on the socket `path` by themselves, or the person's own `DOCKER_HOST` names it. To speak HTTP to any other
 * socket of this computer, only since an inventory names it, could be a request to a program that is no engine.
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
