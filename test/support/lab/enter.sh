#!/bin/sh
# Runs a command where a lab can be started: in new network, mount and PID namespaces, with a temporary folder of
# its own. When the command ends, or descriptor 3 (which the caller holds open for as long as it lives) does, then
# everything that was started in there is killed, and folder and control groups are removed.
#   enter.sh FOLDER COMMAND [ARGUMENT...]    called in a new mount namespace and a new session
set -u
umask 022
folder=$1
shift

if ! grep -q ' /sys/fs/cgroup[ /]' /proc/mounts; then
  mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
  for controller in $(awk '$4 == 1 { print $1 }' /proc/cgroups); do
    mkdir "/sys/fs/cgroup/$controller"
    mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller" || rmdir "/sys/fs/cgroup/$controller"
  done
  [ -n "$(ls /sys/fs/cgroup)" ] || mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi

exec 9</proc/self/ns/net # the way back to the machine's network, for those who ask for it by name
# shellcheck disable=SC2016
TMPDIR=$folder FLEET_LAB_OUTSIDE=/proc/1/fd/9 unshare --net --pid --fork --kill-child=KILL --mount-proc \
  sh -c 'ip link set lo up; (exec 3<&- 9<&-; exec "$@"); exit $?' sh "$@" <&0 &
inside=$!
exec 9<&-
{
  cat <&3 >/dev/null
  # unshare waits for its child, PID 1 inside, and that one's end for the end of all others
  kill -KILL $(cat "/proc/$inside/task/$inside/children") || kill -KILL "$inside"
} 2>/dev/null &
wait "$inside" 2>/dev/null
status=$?

rm -rf --one-file-system "$folder"
name=${folder##*/}
for group in "/sys/fs/cgroup/$name" /sys/fs/cgroup/*/"$name"; do
  [ -d "$group" ] && find "$group" -depth -type d -exec rmdir {} +
done
kill "$!" 2>/dev/null
exit "$status"
