#!/bin/sh
# Boots a host in a separate mount namespace, so that its mounts disappear with it.
#   boot.sh NSPAWN ROOT-FOLDER HOST-FOLDER CONTROL-GROUP NETWORK-NAMESPACE NAME (--boot | COMMAND...)
set -eu
nspawn=$1 root=$2 folder=$3 group=$4 network=$5 name=$6
shift 6

for controller in /sys/fs/cgroup/*/; do
  mkdir -p "$controller$group" 2>/dev/null || continue
  if [ -f "$controller/cpuset.cpus" ]; then # a new group has no CPUs, so it accepts no process (cpuset(7))
    path=$controller
    for part in $(echo "$group" | tr / ' '); do
      path=$path$part/
      cat "$controller/cpuset.cpus" >"${path}cpuset.cpus"
      cat "$controller/cpuset.mems" >"${path}cpuset.mems"
    done
  fi
  echo 0 >"$controller$group/cgroup.procs" 2>/dev/null || true
done

mount -t overlay overlay -o "lowerdir=$root,upperdir=$folder/disk,workdir=$folder/work" "$folder/root"
case $1 in
  --boot) set -- --boot ;;
  *) set -- --as-pid2 "$@" ;;
esac
export SYSTEMD_NSPAWN_API_VFS_WRITABLE=network # an engine enables IP forwarding
exec "$nspawn" --quiet --directory="$folder/root" --register=no --keep-unit --machine="$name" \
  --network-namespace-path="$network" --capability=all --system-call-filter='add_key keyctl bpf' \
  --bind="$folder/docker:/var/lib/docker" --link-journal=no --resolv-conf=off --timezone=off --console=pipe "$@"
