/**
 * Paths of the Docker plugins that `npm test` found or fetched, keyed by file name; `docker-compose-new` is a newer
 * Compose.
 */
export const dockerPlugins = JSON.parse(process.env['FLEET_DOCKER_PLUGINS'] ?? '{}') as Partial<
  Record<'docker-compose' | 'docker-compose-new' | 'docker-buildx', string>
>
