/**
 * Names Docker Compose 2 and the packages that provide it on hosts, for use in messages. Debian 12 itself has no such
 * package.
 */
export const composePackages =
  "Docker Compose 2 (docker-compose-plugin from Docker's repository, docker-compose on Debian 13, docker-compose-v2 on Ubuntu, docker-cli-compose on Alpine)"
