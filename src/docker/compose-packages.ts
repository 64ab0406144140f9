/** The packages with Docker Compose 2 on hosts. Debian 12 has none of its own. */
export const composePackages =
  "docker-compose-plugin (Docker's repository), docker-compose (Debian 13) or docker-compose-v2 (Ubuntu)"
