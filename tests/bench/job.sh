# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs on the KVM host, after bench.py's lines that set kernel, forkexec and syscalls (iterations), rounds, least (rounds), budget
# (seconds), patches and traces (rounds), traces_budget, functions (to trace, empty: all), vms (of the last part). Two guests of one kernel wait side by
# side, one plain, one under ringfence, and do each thing in turn; KVM's counters, the fence's and /proc are read in between. What
# was read goes to $OUT/samples; bench.py makes figures of it.

# Everything is resident from the start: guest memory that one of them touched and the other did not says nothing.
start() {
	(LIMIT=900 WRAP=$2 l2 "$kernel" 1 rf.mode=bench -pidfile "$1.pid" -mem-prealloc <"$1.in" >"$1.out" 2>"$OUT/$1.err") &
}

use() { case $1 in unsealed) in=3 out=4 ;; sealed) in=5 out=6 ;; esac; }

# The guest's next answer. Blocks in read: a poll would take the processor that the guest is measured on.
await() {
	use "$1"
	while read -t 240 -r answer <&$out; do
		echo "$answer" >>"$OUT/$1.console"
		case $answer in "RF: bench"*) return ;; esac
	done
	echo "bench: the $1 guest does not answer"
	exit 1
}

tell() {
	use "$1"
	echo "$2" >&$in
}

kvm_counters() { grep -s . /sys/kernel/debug/kvm/"$pid"-*/*; }

# What takes longest is read farthest from the loop: KVM's counters are the ones that an idle guest moves.
sample() {
	pid=$(cat "$1.pid")
	echo "@ $1 $2 $3 $4"
	[ "$4" = before ] || kvm_counters
	[ "$1" = unsealed ] || ringfence status --json bench | tr -d '\n'
	echo
	grep -E 'VmRSS|RssAnon' "/proc/$pid/status"
	[ "$4" = after ] || kvm_counters
}

# measure KIND WHAT ROUND COMMAND
measure() {
	sample "$1" "$2" "$3" before >>"$OUT/samples"
	tell "$1" "$4"
	await "$1"
	sample "$1" "$2" "$3" after >>"$OUT/samples"
	echo "= $answer" >>"$OUT/samples"
}

loops() {
	measure "$1" forkexec "$2" "helper forkexec $forkexec"
	measure "$1" syscalls "$2" "helper syscalls $syscalls"
}

[ -d /sys/kernel/debug/kvm ] || mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
# A host that gives huge pages to whoever is aligned for them decides by chance what a process weighs; guest memory and
# the fence's copy ask for them. The machine's own setting is left alone.
[ "$LAB_MODE" != emulated ] || echo madvise >/sys/kernel/mm/transparent_hugepage/enabled
mkfifo unsealed.in unsealed.out sealed.in sealed.out
exec 3<>unsealed.in 4<>unsealed.out 5<>sealed.in 6<>sealed.out
start unsealed ''
await unsealed
start sealed "ringfence run --name bench --audit $OUT/audit.jsonl --"
await sealed
for kind in unsealed sealed; do
	# Both on one processor, and the host's own work on another: its interrupts would else fall to one of them.
	for task in /proc/"$(cat $kind.pid)"/task/*; do
		taskset -p "$(printf %x $((1 << ($(nproc) - 1))))" "${task##*/}" >/dev/null
	done
	# Whether each is what it is called.
	echo "# $kind $(grep -c libringfence.so "/proc/$(cat $kind.pid)/maps")" >>"$OUT/samples"
	for loop in forkexec syscalls; do
		eval "tell $kind \"helper $loop \$$loop\""
		await $kind
	done
done

# In turn, and each goes first as often as the other: what changes with time meets both. A slow machine does fewer rounds.
began=$(date +%s)
for round in $(seq "$rounds"); do
	[ "$round" -le "$least" ] || [ $(($(date +%s) - began)) -lt "$budget" ] || break
	case $((round % 2)) in 1) order="unsealed sealed" ;; *) order="sealed unsealed" ;; esac
	for kind in $order; do loops $kind "$round"; done
	[ $((round % 8)) != 0 ] || echo "bench: round $round of $rounds"
done

events=/sys/kernel/tracing/events/sched/sched_switch/enable
stats=/proc/sys/kernel/sched_schedstats
for round in $(seq "$patches"); do
	for value in 1 0; do
		measure sealed "static-call-$value" "$round" "echo $value >$events"
		measure sealed "jump-label-$value" "$round" "echo $value >$stats"
	done
done

# The first time makes buffers and, as each time, a trampoline that the table lacks.
for kind in unsealed sealed; do
	[ -n "$functions" ] || break
	tell $kind "echo '$functions' >/sys/kernel/tracing/set_ftrace_filter"
	await $kind
done
began=$(date +%s)
for round in 0 $(seq "$traces"); do
	[ "$round" -le "$least" ] || [ $(($(date +%s) - began)) -lt "$traces_budget" ] || break
	case $((round % 2)) in 1) order="unsealed sealed" ;; *) order="sealed unsealed" ;; esac
	for kind in $order; do
		measure $kind tracer "$round" "helper switch /sys/kernel/tracing/current_tracer function nop"
	done
	echo "bench: tracer on and off, $round of $traces"
done

tell sealed "insmod /rf_attack.ko tries=200; sleep 1"
await sealed
measure sealed denied-store 1 "echo direct_map >/proc/rf_attack; helper last"
for round in 1 2 3; do measure sealed denied-msr "$round" "echo msr_star >/proc/rf_attack; helper last"; done
measure sealed denied-cr 1 "echo cr4_latency >/proc/rf_attack; helper last"
for kind in unsealed sealed; do tell $kind end; done
wait

# Many VMs that run nothing: how many of the host's watches they take.
on=0 pids=
chmod +x onevm
for vm in $(seq "$vms"); do
	ringfence run --name "many-$vm" -t 600 --audit "many-$vm.jsonl" -- ./onevm >>"$OUT/many" 2>&1 &
	pids="$pids $!"
done
for vm in $(seq "$vms"); do
	for wait in $(tries 120); do
		if ringfence status --json "many-$vm" 2>&1 | grep -q '"control_watch": "on"'; then
			on=$((on + 1))
			break
		fi
		[ "$wait" -lt 120 ] || exit 1
		sleep 1
	done
done
echo "= many vms=$vms watched=$on probes=$(grep -c ' kvm_set_cr[04]' /sys/kernel/debug/kprobes/list) known=$(
	ringfence list --json | grep -c '"many-')" >>"$OUT/watch"
kill $pids
wait
