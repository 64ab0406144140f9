#!/bin/busybox sh
# First program of a virtual machine: its root folder is that of the machine below, read-only under a folder in memory.
#   Its arguments are the command that becomes PID 1 there.
set -eu
/bin/busybox --install -s /bin
export PATH=/bin
mkdir -p /proc /sys /dev /below /memory /root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
exec </dev/console >/dev/console 2>&1
modprobe -a virtio_pci 9pnet_virtio 9p overlay
mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose root /below
mount -t tmpfs tmpfs /memory
mkdir /memory/upper /memory/work
mount -t overlay overlay -o lowerdir=/below,upperdir=/memory/upper,workdir=/memory/work /root
for folder in proc sys dev; do mount --move "/$folder" "/root/$folder"; done
exec switch_root /root "$@"
