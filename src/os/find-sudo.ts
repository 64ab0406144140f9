/**
 * POSIX shell: sets `$sudo` to `sudo -n` for a user who is not root and can use it without a password, else to an empty
 * string. Reads nothing from standard input, which may be the script itself.
 */
export const findSudo = `sudo=
if [ "$(id -u)" != 0 ] && sudo -n true </dev/null >/dev/null 2>&1; then sudo='sudo -n'; fi`
