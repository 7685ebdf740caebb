#!/bin/busybox sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The guest's part of live.py: some time with nothing planted, then what $PLANTS names, and time to find it.
export PATH=/bin
mount -t proc p /proc
mount -t sysfs s /sys
mount -t devtmpfs d /dev
ip link set lo up
mkdir -p /etc/rf_dir
echo before >/etc/rf_file
victims=
for _ in 0 1 2 3 4 5 6 7 8 9; do
	sleep 100000 &
	victims=$victims,$!
done
echo "STAGE CLEAN"
sleep $QUIET
for n in 1 2 3 4 5; do insmod /rf_victim$n.ko; done
insmod /rf_planted.ko pids=${victims#,} only=$PLANTS || echo "NO PLANTS"
read -r _ </etc/rf_file
ping -c 1 -W 1 127.0.0.1 >/dev/null
echo 1 >/sys/module/rf_planted/parameters/prove
echo "STAGE PLANTED"
sleep $PATIENCE
echo "STAGE DONE"
reboot -f
