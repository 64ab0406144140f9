#!/bin/sh
# PID 1 of a lab host, started in the host's namespaces: sets up its disk, network and services.
#   host-init.sh NAME ADDRESS FOLDER [DOCKERD-OPTION...]    no options: no engine
# Waits for the end of its input, which signals that eth0 exists. SIGTERM shuts the host down.
set -eu
name=$1 address=$2 folder=$3
shift 3
engine=

shut_down() {
  trap '' TERM
  if [ -n "$engine" ] && kill "$engine"; then wait "$engine" || true; fi
  exit 0
}
trap shut_down TERM

mount -t overlay overlay -o "lowerdir=/etc,upperdir=$folder/etc,workdir=$folder/etc.work" /etc
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount --bind "$folder/log" /var/log
mkdir -p /srv /var/lib/docker /var/lib/fleet /run/sshd /run/lock
mount --bind "$folder/home" /srv
mount --bind "$folder/docker" /var/lib/docker
mount --bind "$folder/fleet" /var/lib/fleet
rm -f /etc/docker/daemon.json
if [ -e "$folder/programs" ]; then
  for part in bin sbin; do
    mount -t overlay overlay -o "lowerdir=$folder/programs/usr/$part:/usr/$part" "/usr/$part"
  done
fi

cat >/dev/null
hostname "$name"
# The same MAC address at every start, like a real computer: other hosts cache it.
# shellcheck disable=SC2046
hardware=$(printf '02:00:%02x:%02x:%02x:%02x' $(echo "$address" | tr . ' '))
ip -batch - <<BATCH
link set lo up
addr add $address/24 dev eth0
link set eth0 address $hardware up
BATCH

cd /
/usr/sbin/sshd -t
/usr/sbin/sshd -D -E /var/log/sshd.log &
if [ $# -gt 0 ]; then
  dockerd "$@" >>/var/log/dockerd.log 2>&1 &
  engine=$!
fi
sleep infinity & # the host keeps running when a service exits
wait             # and orphans are reaped here
