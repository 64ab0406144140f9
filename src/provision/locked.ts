/** How long to wait, in seconds, while another program holds the package manager's lock. */
export const lockWait = 600

/**
 * Runs a package manager that gives up at once when another one is at work, again and again
 * until it gets the lock. What it prints is held back until it ends; a line beginning with
 * `Waiting` tells of the wait as it begins.
 */
export const retryWhileLocked = (refusal: string, command: readonly string[]): string[] => [
  'sh',
  '-c',
  `refusal=$1 tries=0
shift
until said=$("$@" 2>&1 </dev/null); do
  case $said in
    *"$refusal"*) ;;
    *) printf '%s\\n' "$said" >&2; exit 1 ;;
  esac
  if [ $tries -ge ${lockWait} ]; then printf '%s\\n' "$said" >&2; exit 1; fi
  [ $tries -gt 0 ] || echo "Waiting for another package manager: $(printf '%s' "$said" | grep -m 1 "$refusal")"
  tries=$((tries + 1))
  sleep 1
done
printf '%s\\n' "$said"`,
  'sh',
  refusal,
  ...command,
]
