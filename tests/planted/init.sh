#!/bin/busybox sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The guest's part of planted.py: it waits on its fourth serial port for leave to go on. Nothing here may end it.
export PATH=/bin
mount -t proc p /proc
mount -t sysfs s /sys
mount -t devtmpfs d /dev
mount -t tracefs t /sys/kernel/tracing
exec 3</dev/ttyS3
stage() {
	echo "STAGE $1"
	read -r _ <&3
}

# --- a guest with nothing planted -----------------------------------------
grep ' entry_SYSCALL_64$' /proc/kallsyms
while read -r module; do
	insmod /mod/$module.ko 2>/dev/null && echo "LOADED $module" || echo "NOT LOADED $module"
done </mod/order
mkdir -p /mnt/rf_disk /mnt/rf_over /mnt/low /mnt/up /mnt/work /etc/rf_dir
ip link set lo up
ip link add dummy0 type dummy 2>/dev/null
ip addr add 10.9.0.1/24 dev dummy0
ip link set dummy0 up
# Its other end is veth0.
ip link add rf_veth type veth
ip addr add 10.9.1.1/24 dev veth0
ip link set veth0 up
ip link set rf_veth up
brctl addbr rf_bridge 2>/dev/null
tunctl -t rf_tap >/dev/null 2>&1
vconfig add dummy0 7 >/dev/null 2>&1
dd if=/dev/zero of=/disk bs=1024 count=4096 2>/dev/null
mke2fs -F /disk >/dev/null 2>&1
mount -t ext4 -o loop /disk /mnt/rf_disk || echo "NO DISK"
mount -t overlay -o lowerdir=/mnt/low,upperdir=/mnt/up,workdir=/mnt/work o /mnt/rf_over 2>/dev/null
mkdir /sys/fs/bpf /mnt/ram 2>/dev/null
for type in bpf debugfs securityfs cgroup2 pstore configfs; do
	mkdir -p /mnt/$type
	mount -t $type $type /mnt/$type 2>/dev/null
done
echo before >/etc/rf_file
echo before >/mnt/rf_disk/file
/bin/rf_life &
# Each is somebody for a plant to hide, or to make root.
victims=
for _ in 0 1 2 3 4 5 6 7 8 9; do
	sleep 100000 &
	victims=$victims,$!
done
ls -R /proc/sys /sys/kernel >/dev/null 2>&1
cat /proc/net/* /proc/modules /proc/kallsyms >/dev/null 2>&1
ping -c 1 -W 1 127.0.0.1 >/dev/null
sleep 2
stage CLEAN

# --- plants ------------------------------------------------------------------
plants="$PLANTS"
for n in 1 2 3 4 5; do insmod /rf_victim$n.ko; done
bpf=
case $plants in '' | *bpf*) /bin/rf_life rf_planted rf_hidden & bpf=$! ;; esac
sleep 1
patch=/sys/kernel/livepatch/rf_livepatch
if [ -z "$plants" ]; then
	echo "PLANTING livepatch"
	insmod /rf_livepatch.ko
	echo "PLANTED livepatch check=hooks-livepatches object=0x0 target=0x$(
		grep storm_cmdline_show /proc/kallsyms | cut -d ' ' -f 1) also=0x0"
	# Meanwhile the kernel moves cond_resched() itself.
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		[ "$(cat $patch/transition)" = 1 ] && sleep 1
	done
fi
insmod /rf_planted.ko pids=${victims#,} $plants || echo "NO PLANTS"
ping -c 1 -W 1 127.0.0.1 >/dev/null
ping -c 1 -W 1 10.9.0.2 >/dev/null
ping -c 1 -W 1 10.9.1.2 >/dev/null
cat /proc/version /proc/uptime /proc/net/tcp /proc/net/udp /proc/rf_planted /dev/rf_planted >/dev/null 2>&1
ls /etc/rf_dir/none 2>/dev/null
read -r _ </etc/rf_file
stat -f / >/dev/null
echo after >/mnt/rf_disk/file
sync
echo 2 >/proc/sys/vm/drop_caches
stty -F /dev/ttyS1 >/dev/null
nc 127.0.0.1 1 </dev/null 2>/dev/null
unshare -n true
/bin/rf_garbage 2>/dev/null
mount -t rfnone none /mnt/ram 2>/dev/null
sh -c 'kill -SEGV $$' 2>/dev/null
sleep 1
read -r line </proc/cmdline
[ "$line" = "live patched" ] && echo "PROVED livepatch reads=yes calls=-" || echo "PROVED livepatch reads=no calls=-"
echo 1 >/sys/module/rf_planted/parameters/prove
stage PLANTED

# --- taken back ----------------------------------------------------------------
sleep 1
rmmod rf_planted || echo "PLANTS STAY"
if [ -d $patch ]; then
	echo 0 >$patch/enabled
	for _ in 1 2 3 4 5 6 7 8 9 10; do [ -d $patch ] && sleep 1; done
	rmmod rf_livepatch || echo "PLANTS STAY"
fi
[ -z "$bpf" ] || kill $bpf
sleep 2
stage GONE
while :; do sleep 1000; done
