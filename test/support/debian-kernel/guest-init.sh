#!/bin/sh
# PID 1 of a virtual machine: starts lab hosts that share the kernel of the virtual machine.
#   guest-init.sh MODULES FOLDER HOST-INIT NAME=ADDRESS...   MODULES: for /lib/modules; FOLDER: the disks of the hosts
set -eu
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/srv/root LANG=C.UTF-8
modules=$1 folder=$2 init=$3
shift 3

mkdir -p /dev/pts /dev/shm /disks
mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs /disks

# The kernel and the engine load the other modules that they need.
rm -rf /lib/modules
ln -s "$modules" /lib/modules
ln -sf /bin/busybox /sbin/modprobe
modprobe -a virtio_net bridge veth
mkdir /run/netns
# New network namespaces inherit the setting, which the engine of a real host would enable. Without it, replies to
# virtual addresses are lost.
echo 1 >/proc/sys/net/ipv4/ip_forward

# An engine waits only 15 seconds for a containerd that it starts, which is too short on an emulated processor.
cat >/usr/local/sbin/dockerd <<'WRAPPER'
#!/bin/sh
mkdir /run/containerd
printf 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n' >/run/containerd/config.toml
containerd --config /run/containerd/config.toml --root /var/lib/docker/containerd >/var/log/containerd.log 2>&1 &
until [ -S /run/containerd/containerd.sock ]; do sleep 1; done
exec /usr/sbin/dockerd "$@" --containerd=/run/containerd/containerd.sock
WRAPPER
chmod 755 /usr/local/sbin/dockerd
ip -batch - <<BATCH
link set lo up
link add hosts type bridge
link set hosts up
link set eth0 master hosts up
BATCH

for host; do
  name=${host%%=*} address=${host#*=}
  cp -a "$folder/$name" "/disks/$name"
  ip -batch - <<BATCH
netns add $name
link add $name type veth peer name eth0 netns $name
link set $name master hosts up
BATCH
  nsenter "--net=/run/netns/$name" unshare --mount --pid --uts --ipc --mount-proc --fork \
    sh "$init" "$name" "$address" "/disks/$name" \
    --host=unix:///var/run/docker.sock --pidfile=/run/docker.pid \
    "--cgroup-parent=/lab/$name" --exec-opt=native.cgroupdriver=cgroupfs </dev/null &
done
while :; do wait || true; sleep 1; done
