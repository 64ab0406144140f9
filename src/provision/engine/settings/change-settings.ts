import { defaultSocket } from '../../../machine/machine.ts'
import { pendingSuffix } from './engine-state.ts'
import { environmentFile } from './environment-file.ts'

/** The suffix of a backup file, which contains a file's content from before the last change. */
const backupSuffix = '.fleet-before'

/**
 * A script that changes the settings of the engine. It must be run as root:
 * `sh -c SCRIPT sh FILE CONFIG DIGEST ENVIRONMENT EFFECT [CERTIFICATE CONTENT]...`. CONFIG, ENVIRONMENT and CONTENT are
 * base64; `-` keeps a file unchanged. DIGEST is the SHA-256 of FILE when it was read, or `-` if FILE did not exist.
 * EFFECT is `none`, `live` or `restart`.
 *
 * Each file is replaced by one rename. Until the engine runs with the new settings, a file (`pendingSuffix`) contains
 * the effect and the containers to start again, so that the next run can continue a run that was killed. If the engine
 * rejects the settings, the old files are restored, and the script prints the engine's last log lines and exits with
 * code 1.
 */
export const changeSettingsScript = String.raw`
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
umask 022
trap '' HUP PIPE
file=$1 config=$2 digest=$3 environment=$4 effect=$5
shift 5
dropin=${environmentFile}
has() { command -v "$1" >/dev/null 2>&1; }
exec 9>/run/fleet-engine.lock
if has flock; then flock 9; fi
[ ! -L "$file" ] || file=$(readlink -f "$file")
pending=$file${pendingSuffix}
ask() { docker -H unix://${defaultSocket} "$@" </dev/null 2>/dev/null 9>&-; }
put() { # FILE BASE64
  mkdir -p "$(dirname "$1")" || return
  { [ ! -e "$1" ] || cp -p "$1" "$1.fleet-new"; } && printf %s "$2" | base64 -d >"$1.fleet-new" &&
    replace "$1.fleet-new" "$1" && return
  rm -f "$1.fleet-new"
  return 1
}
replace() { # NEW FILE
  { sync "$1" 2>/dev/null || sync; } && mv -f "$1" "$2" || return
  ! has restorecon || restorecon "$2" || :
}
note() { # writes what restores the containers
  { echo "$effect"; ask ps --quiet --no-trunc; } | cat >"$pending.new" && replace "$pending.new" "$pending" && return
  rm -f "$pending.new"
  exit 1
}
keep() { # FILE
  if [ -e "$1" ] && cp -p "$1" "$1${backupSuffix}"; then return; fi
  rm -f "$1${backupSuffix}"
  [ ! -e "$1" ]
}
put_back() { # FILE
  if [ -e "$1${backupSuffix}" ]; then cp -p "$1${backupSuffix}" "$1.fleet-new" && replace "$1.fleet-new" "$1"; else rm -f "$1"; fi
}
engine() {
  pid=$(cat /var/run/docker.pid 2>/dev/null)
  if [ -z "$pid" ] || [ ! -d "/proc/$pid" ]; then pid=$(pidof dockerd 2>/dev/null | cut -d ' ' -f 1); fi
  [ -n "$pid" ]
}
words() { # the arguments of the running engine, one a line, without --config-file
  engine || return 0
  tr '\0' '\n' <"/proc/$pid/cmdline" | sed -e 1d -e '/^--config-file=/d' -e '/^--config-file$/{N;d;}'
}
log() {
  if [ -d /run/systemd/system ]; then journalctl --no-pager -o cat -u docker.service --since "@$since"
  else tail -n 50 /var/log/dockerd.log /var/log/docker.log 2>/dev/null; fi |
    sed -e 's/^time="[^"]*" //' | grep -v -e '^level=info' -e '^level=debug' | tail -n 8
}
answers() {
  tries=0
  until ask version >/dev/null; do
    tries=$((tries + 1))
    [ $tries -le "$1" ] || return 1
    sleep 1
  done
}
restart() {
  if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl reset-failed docker.service 2>/dev/null
    systemctl restart docker.service 9>&- && answers 30 && return
    systemctl stop docker.service 2>/dev/null
    return 1
  fi
  if [ -e /run/openrc/softlevel ]; then rc-service docker restart 9>&- && answers 60; return; fi
  line=/run/fleet-engine.command
  if engine; then
    cat "/proc/$pid/cmdline" >$line
    old=$pid
    kill "$old"
    tries=0
    while kill -0 "$old" 2>/dev/null; do
      tries=$((tries + 1))
      [ $tries -le 300 ] || return 1
      sleep 0.2
    done
  fi
  [ -s $line ] || printf 'dockerd\0' >$line
  xargs -0 sh -c 'setsid "$@" >>/var/log/dockerd.log 2>&1 </dev/null &' sh <$line 9>&-
  answers 30
}
reloads() { ask events --since "$1" --until "$2" --filter event=reload | wc -l; }
reload() {
  engine || { restart; return; }
  start=$(date +%s)
  count=$(reloads "$start" $((start + 1)))
  kill -HUP "$pid" || return
  tries=0
  until [ "$(reloads "$start" $(($(date +%s) + 1)))" -gt "$count" ]; do
    tries=$((tries + 1))
    [ $tries -le 10 ] || return 1
  done
}
start_containers() {
  sed 1d "$pending" | while read -r id; do
    [ "$(ask inspect --format '{{.State.Running}}' "$id")" != false ] || ask start "$id" >/dev/null ||
      echo "the container $id did not start again"
  done
}

sum=-
if [ -e "$file" ]; then sum=$(sha256sum <"$file" | cut -d ' ' -f 1); fi
if [ "$sum" != "$digest" ]; then
  echo "$file was changed in the meantime" >&2
  exit 1
fi
if [ "$config" != - ] && has dockerd && dockerd --help 2>/dev/null | grep -q -e --validate; then
  mkdir -p "$(dirname "$file")" && printf %s "$config" | base64 -d >"$file.fleet-try" || {
    rm -f "$file.fleet-try"
    exit 1
  }
  new=$config
  (
    words >/run/fleet-engine.words
    set --
    while IFS= read -r word; do set -- "$@" "$word"; done </run/fleet-engine.words
    exec dockerd "$@" --validate --config-file "$file.fleet-try" 9>&-
  ) >/run/fleet-engine.answer 2>&1 </dev/null
  code=$?
  rm -f "$file.fleet-try" /run/fleet-engine.words
  if [ $code != 0 ]; then
    echo "the engine rejected these settings, so nothing was changed:" >&2
    tail -n 8 /run/fleet-engine.answer >&2
    exit 1
  fi
fi
while [ $# -ge 2 ]; do
  put "$1" "$2" || exit 1
  shift 2
done
[ "$effect" != none ] || exit 0

since=$(date +%s) is_first= is_changed=
if [ ! -e "$pending" ]; then
  is_first=yes
  mkdir -p "$(dirname "$file")" && keep "$file" && keep "$dropin" || exit 1
  note
elif [ "$(head -n 1 "$pending")" = restart ]; then effect=restart
elif [ "$effect" = restart ]; then
  note
fi
{ [ "$config" = - ] || { put "$file" "$config" && is_changed=yes; }; } &&
  { [ "$environment" = - ] || { put "$dropin" "$environment" && is_changed=yes; }; }
code=$?
if [ $code != 0 ] && [ -z "$is_changed" ]; then # the disk is full
  [ -z "$is_first" ] || rm -f "$pending"
  exit 1
fi
if [ $code = 0 ] && if [ "$effect" = live ]; then reload; else restart; fi; then
  [ "$effect" = live ] || start_containers
  rm -f "$pending"
  exit 0
fi
log >/run/fleet-engine.answer 2>&1
put_back "$file"
put_back "$dropin"
if [ "$effect" = live ]; then reload; else restart; fi
if answers 30; then
  [ "$effect" = live ] || start_containers
  rm -f "$pending"
  echo "the engine did not accept these settings; the previous ones were restored:" >&2
else
  echo "the engine did not accept these settings, and did not start with the previous ones either:" >&2
fi
cat /run/fleet-engine.answer >&2
exit 1
`
