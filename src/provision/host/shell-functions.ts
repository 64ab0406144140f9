/** How long to wait for the lock of the package manager, in seconds. */
export const lockTimeout = 600

/** Exit code for errors that a retry cannot fix: EX_CONFIG of sysexits(3). */
export const permanentFailure = 78

/**
 * POSIX shell functions for scripts that run as root on a host. They run package managers without prompts, wait for
 * locks, and retry after mirror errors. While the functions wait, they print lines that start with `Waiting`.
 */
export const shellFunctions = String.raw`export LC_ALL=C DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l
has() { command -v "$1" >/dev/null 2>&1; }
while_locked() { # MESSAGE COMMAND...: retries while the error contains MESSAGE
  message=$1 tries=0
  shift
  until output=$("$@" 2>&1 </dev/null); do
    case $output in
      *"$message"*) ;;
      *) printf '%s\n' "$output" >&2; return 1 ;;
    esac
    if [ $tries -ge ${lockTimeout} ]; then printf '%s\n' "$output" >&2; return 1; fi
    [ $tries -gt 0 ] || echo "Waiting for another package manager: $(printf '%s' "$output" | grep -m 1 "$message")"
    tries=$((tries + 1))
    sleep 1
  done
  printf '%s\n' "$output"
}
apt() { while_locked 'Could not get lock' apt-get -o Acquire::Retries=3 "$@"; }
apt_install() { apt -y --no-install-recommends -o Dpkg::Options::=--force-confold install "$@"; }
dnf() { # waits for its lock without a limit
  "$(if [ -x /usr/bin/dnf ]; then echo /usr/bin/dnf; else echo /usr/bin/yum; fi)" -y "$@" </dev/null
}
docker_key() { # URL FINGERPRINT FILE: downloads the key and checks its fingerprint
  mkdir -p "$(dirname "$3")" && curl -fsSL --retry 3 -o "$3.new" "$1" || return 1
  keyring=$(mktemp -d)
  found=$(gpg --homedir "$keyring" --batch --with-colons --show-keys "$3.new" |
    awk -F: '$1 == "pub" { own = 1 } $1 == "fpr" && own { print $10; own = 0 }')
  rm -rf "$keyring"
  if [ "$found" != "$2" ]; then
    rm -f "$3.new"
    echo "the key at $1 is not Docker's: $found" >&2
    return ${permanentFailure}
  fi
  chmod 0644 "$3.new" && mv "$3.new" "$3"
}
newest() { # PREFIX: the newest version on standard input with this prefix
  sort -rV | awk -v wish="$1" '{
    plain = $1
    sub(/^[0-9]+:/, "", plain)
    if (index(plain, wish) == 1 && substr(plain, length(wish) + 1) !~ /^[0-9]/) { print $1; found = 1; exit }
    shown = shown " " plain
  }
  END {
    if (found) exit
    print "there is no version " wish " of docker-ce for this system" (shown ? "; available:" shown : "") >"/dev/stderr"
    exit shown ? ${permanentFailure} : 1
  }'
}
`
