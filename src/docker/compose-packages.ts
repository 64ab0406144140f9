/** Docker Compose 2 and its packages on hosts. Debian 12 has none of its own. */
export const composePackages =
  "Docker Compose 2 (docker-compose-plugin from Docker's repository, docker-compose on Debian 13, docker-compose-v2 on Ubuntu, docker-cli-compose on Alpine)"
