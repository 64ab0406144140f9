/** The name under which docker's configuration keeps the login of Docker Hub. */
export const dockerHub = 'https://index.docker.io/v1/'

/**
 * The registry that an image comes from, as docker's configuration names it: the part before
 * the first `/` when it looks like a host (it has a `.` or a `:`, or is `localhost`), else
 * Docker Hub. Source: distribution/reference, the grammar of image references.
 */
export function registryOf(image: string): string {
  const [host = '', rest] = image.split('/', 2)
  const isHost = rest !== undefined && (/[.:]/.test(host) || host === 'localhost')
  if (!isHost || host === 'docker.io' || host === 'index.docker.io') return dockerHub
  return host
}
