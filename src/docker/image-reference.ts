/** The key of Docker Hub's login in docker's configuration. */
export const dockerHub = 'https://index.docker.io/v1/'

/**
 * Returns the registry of an image, as docker's configuration names it: the part before the first `/` if it looks like
 * a host (it contains a `.` or a `:`, or is `localhost`), else Docker Hub. Source: distribution/reference, the grammar
 * of image references.
 */
export function registryOf(image: string): string {
  const [host = ''] = image.split('/', 1)
  if (!namesHost(image) || host === 'docker.io' || host === 'index.docker.io') return dockerHub
  return host
}

/** Whether the part of a reference before the first `/` is a registry. */
function namesHost(image: string): boolean {
  const [host = '', rest] = image.split('/', 2)
  return rest !== undefined && (/[.:]/.test(host) || host === 'localhost')
}

/** Returns the full name of an image: `docker.io/library/app:1` for `app:1`. */
export function fullNameOf(image: string): string {
  if (namesHost(image)) return image.replace(/^index\.docker\.io\//, 'docker.io/')
  return image.includes('/') ? `docker.io/${image}` : `docker.io/library/${image}`
}
