#!/bin/sh
# Runs a command in an environment where a lab can be started: new network, mount and PID namespaces, with a separate
# temporary directory. When the command exits, or file descriptor 3 is closed (which the caller keeps open while it
# runs), everything that was started in there is killed, and the directory and control groups are removed.
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

exec 9</proc/self/ns/net # keeps the computer's network namespace accessible as FLEET_LAB_OUTSIDE
# shellcheck disable=SC2016
TMPDIR=$folder FLEET_LAB_OUTSIDE=/proc/1/fd/9 unshare --net --pid --fork --kill-child=KILL --mount-proc \
  sh -c 'ip link set lo up; (exec 3<&- 9<&-; exec "$@"); exit $?' sh "$@" <&0 &
inside=$!
exec 9<&-
{
  cat <&3 >/dev/null
  # unshare waits for its child, PID 1 of the namespace, whose death kills all other processes in it
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
