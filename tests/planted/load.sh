# SPDX-License-Identifier: LGPL-2.1-or-later
# Behind the first part of init.sh: what keeps the guest of quiet.py busy. Each loop counts its turns in a file.
loop() {
	name=$1; shift
	while [ ! -e /tmp/stop ]; do
		"$@" >/dev/null 2>&1
		echo >>/tmp/ran-$name
	done &
}
processes() {
	for _ in 1 2 3 4 5 6; do (true; cat /proc/self/status /proc/loadavg) & done
	wait
}
modules() {
	for module in pcspkr softdog tcp_bbr af_key psample dummy1; do rmmod $module; insmod /mod/$module.ko; done
}
tracing=/sys/kernel/tracing
traces() {
	# In turn few functions and all of them, which takes long.
	[ -e /tmp/few ] && rm /tmp/few || touch /tmp/few
	[ -e /tmp/few ] && echo 'vfs_*' >$tracing/set_ftrace_filter || echo >$tracing/set_ftrace_filter
	echo function >$tracing/current_tracer
	cat /proc/version
	echo nop >$tracing/current_tracer
	echo 'p:rf_probe vfs_read' >$tracing/kprobe_events
	echo 'r:rf_return vfs_read' >>$tracing/kprobe_events
	echo 1 >$tracing/events/kprobes/enable
	cat /proc/version
	echo 0 >$tracing/events/kprobes/enable
	echo >$tracing/kprobe_events
	echo 1 >$tracing/events/sched/enable
	echo 0 >$tracing/events/sched/enable
}
mounts() {
	mkdir -p /mnt/quiet
	mount -t tmpfs q /mnt/quiet
	for file in 1 2 3 4; do echo $file >/mnt/quiet/$file; done
	umount /mnt/quiet
	echo again >/mnt/rf_disk/file
	sync
}
nets() {
	ip link add quiet0 type veth
	ip link del quiet0
	unshare -n ip link set lo up
	ping -c 1 -W 1 127.0.0.1
}
for name in processes modules traces mounts nets; do : >/tmp/ran-$name; done
loop processes processes
loop modules modules
loop traces traces
loop mounts mounts
loop nets nets
sleep 3
stage LOAD
touch /tmp/stop
for _ in 1 2 3 4 5 6 7 8 9 10; do sleep 1; done
for name in processes modules traces mounts nets; do echo "RAN $name $(wc -l </tmp/ran-$name)"; done
stage DONE
while :; do sleep 1000; done
