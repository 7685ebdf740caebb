#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The patcher storm: everything in a stock kernel that changes its own text, one step after another, each seen to work.
#
#   rf.steps=NAME,...    which, in what order     rf.seed=N      for what is chosen at random
#   rf.rounds=N          how often                rf.minutes=N   no new round after that time
#   rf.probes=N rf.inside=N rf.modules=N          how many: at functions, inside of them, loaded
#   rf.functions=PATTERN                          which of them the function tracers trace
#
# Around each step: "RF: storm begin step=NAME round=N" and "RF: storm end step=NAME round=N result=ok|failed|skipped
# seconds=S detail=...". After each such line the script waits for a line of input: counters are read meanwhile.
T=/sys/kernel/tracing
D=/sys/kernel/debug
HERE=/run/storm

option() {
	local word
	set -f
	for word in $(</proc/cmdline); do
		[[ $word != "rf.$1="* ]] || { echo "${word#*=}"; return; }
	done
	echo "$2"
}

# They end a step with a word about it.
fail() { echo "$*"; exit 1; }
skip() { echo "$*"; exit 77; }
need() { grep -qx "CONFIG_$1=[ym]" $HERE/config || skip "CONFIG_$1 is off in this kernel"; }

busy() { "$HERE/work" calls "${1:-20}"; }
entries() { cat $T/per_cpu/cpu*/stats | awk '/^(entries|overrun):/ { n += $2 } END { print n }'; }
# count PATTERN FILE: grep's status is no failure here
count() { grep -c "$1" "$2" || :; }
# random N: so many lines of the input, the same ones for the same seed and round
random() { shuf -n "$1" --random-source=<(yes "$seed $round" 2>/dev/null); }

clean_trace() {
	echo 0 >$T/tracing_on
	echo nop >$T/current_tracer
	echo >$T/set_ftrace_filter
	echo >$T/trace
	echo 1 >$T/tracing_on
}

# tracer NAME PATTERN: on all functions (or those asked for); the trace must hold lines like the pattern
tracer() {
	clean_trace
	[ "$functions" = all ] || echo "$functions" >$T/set_ftrace_filter
	echo "$1" >$T/current_tracer
	busy 5
	echo 0 >$T/tracing_on
	local seen names
	seen=$(entries)
	names=$(head -n 2000 $T/trace | grep -cE "$2")
	echo nop >$T/current_tracer
	[[ "$seen" -gt 20 && "$names" -gt 20 ]] || fail "$seen entries, $names of them read"
	echo "$seen entries, $functions of $(cut -d" " -f1 $T/dyn_ftrace_total_info) functions"
}
step_function() { need FUNCTION_TRACER; tracer function '<-'; }
step_graph() { need FUNCTION_GRAPH_TRACER; tracer function_graph '\(\) *[{;]'; }

step_tracepoints() {
	clean_trace
	echo 1 >$T/events/enable
	busy
	local seen events
	seen=$(entries)
	events=$(wc -l <$T/available_events)
	echo 0 >$T/events/enable
	[ "$seen" -gt 100 ] || fail "$seen entries"
	echo "$seen entries of $events events"
}

# The same system calls of one process, as the function tracer sees them: a sum to compare with another guest's.
step_digest() {
	local pattern
	clean_trace
	echo 0 >$T/tracing_on
	# One by one: a kernel that has not one of them takes the others.
	for pattern in '__x64_sys_*' 'vfs_*' 'ksys_*' 'pipe_*' do_filp_open; do
		echo "$pattern" >>$T/set_ftrace_filter || :
	done 2>/dev/null
	echo function >$T/current_tracer
	"$HERE/work" traced 20
	awk '!/^#/ { print $5, $6 }' $T/trace >/run/digest
	clean_trace
	echo >$T/set_ftrace_pid
	[ "$(wc -l </run/digest)" -gt 300 ] || fail "only $(wc -l </run/digest) calls traced"
	echo "$(wc -l </run/digest) calls sum=$(sha256sum </run/digest | cut -c1-32)"
}

# Lines "p:rf/NAME ADDRESS" one by one: an address nobody may probe is refused, and others are there.
register() {
	local kind=$1 wanted=$2 count=0 line
	while [ $count -lt "$wanted" ] && read -r line; do
		! echo "$kind:rf/$kind$count $line" >>$T/kprobe_events || count=$((count + 1))
	done 2>/dev/null
	[ $count = "$wanted" ] || fail "only $count of $wanted probes taken"
}
# Where a step dies, its probes must not stay for the next one.
no_probes() {
	[ ! -d $T/events/rf ] || echo 0 >$T/events/rf/enable
	echo >$T/kprobe_events
	echo >$T/uprobe_events
}
text_symbols() { awk '$2 ~ /^[tT]$/ && NF == 3 && $3 !~ /^__(pfx|cfi)_/ { print $1, $3 }' /proc/kallsyms; }
hits() { awk '{ n += $2 } END { print n + 0 }' $T/kprobe_profile; }

# Half at entries, half at returns.
step_kprobes() {
	no_probes
	text_symbols >/run/symbols
	random $((probes * 2)) </run/symbols | sed 's/^/0x/; s/ .*//' | register p $((probes / 2))
	random $((probes * 2)) </run/symbols | sed 's/^/0x/; s/ .*//' | register r $((probes - probes / 2))
	echo 'p:rf/known do_sys_openat2' >>$T/kprobe_events
	echo 1 >$T/events/rf/enable
	busy
	local listed known
	listed=$(grep -vc DISABLED $D/kprobes/list)
	known=$(awk '$1 == "known" { print $2 }' $T/kprobe_profile)
	no_probes
	[[ "$listed" -gt "$probes" && "$known" -ge 20 ]] || fail "$listed probes listed, $known hits of a known one"
	[ "$(wc -l <$D/kprobes/list)" = 0 ] || fail "probes are left"
	echo "$listed probes, $known hits of a known one"
}

# How many probes are jumps, once their number stands still; the kernel makes them jumps a while after they were set.
optimized() {
	local n=0 before=-1
	for _ in $(seq 30); do
		n=$(count OPTIMIZED $D/kprobes/list)
		[ "$n" = 0 ] || [ "$n" != "$before" ] || break
		before=$n
		sleep 1
	done
	echo "$n"
}

# Inside of functions, where a probe is an int3 first and, when it may, a jump afterwards.
step_optprobes() {
	need OPTPROBES
	no_probes
	echo 1 >/proc/sys/debug/kprobes-optimization
	local n=0
	# Not all of these are where an instruction begins, and not all functions stand a jump in them.
	text_symbols | random $((inside * 20)) | awk '{ print "0x" $1 }' |
		while read -r address; do printf '0x%x\n' $((address + 5 + n++ % 16)); done | register p "$inside"
	echo 1 >$T/events/rf/enable
	local first off again
	first=$(optimized)
	busy
	echo 0 >/proc/sys/debug/kprobes-optimization
	off=$(count OPTIMIZED $D/kprobes/list)
	echo 1 >/proc/sys/debug/kprobes-optimization
	again=$(optimized)
	no_probes
	[[ "$first" -gt 0 && "$off" = 0 && "$again" = "$first" ]] || fail "optimised: $first, then off $off, on $again"
	echo "$first of $inside optimised, off, on again"
}

step_uprobes() {
	no_probes
	echo "p:rf/step $HERE/work:$("$HERE/work" where)" >$T/uprobe_events
	echo 1 >$T/events/rf/enable
	"$HERE/work" steps 50
	local seen
	seen=$(awk '/ step / { print $3 }' $T/uprobe_profile)
	no_probes
	[ "$seen" = 50 ] || fail "$seen hits of 50"
	echo "$seen hits"
}

step_perf() {
	cd /run
	perf probe -q --add do_sys_openat2
	perf probe -q -x "$HERE/work" --add step
	perf record -q -e probe:do_sys_openat2,probe_work:step -o /run/perf.data -- "$HERE/work" calls 20
	perf record -q -e probe_work:step -o /run/perf.data2 -- "$HERE/work" steps 20
	perf record -q -a -e cpu-clock,context-switches,page-faults -o /run/perf.data3 -- "$HERE/work" calls 20
	local opens steps samples
	opens=$(perf script -i /run/perf.data | grep -c probe:do_sys_openat2)
	steps=$(perf script -i /run/perf.data2 | grep -c probe_work:step)
	samples=$(perf script -i /run/perf.data3 | wc -l)
	perf probe -q --del '*'
	[[ "$opens" -ge 20 && "$steps" = 20 && "$samples" -gt 0 ]] || fail "$opens opens, $steps steps, $samples samples"
	echo "$opens opens, $steps steps, $samples samples"
}

step_bpf() {
	ip link set lo up
	"$HERE/bpf" "$HERE/storm.bpf.o" 50
}

# settled PATCH: until all tasks run the one or the other code
settled() {
	for _ in $(seq 300); do
		[ "$(cat "$1/transition" 2>/dev/null)" = 1 ] || return 0
		sleep 0.2
	done
	fail "the transition does not end: $(grep -lsv -- -1 /proc/[0-9]*/patch_state | wc -l) tasks"
}
step_livepatch() {
	need LIVEPATCH
	local patch=/sys/kernel/livepatch/rf_livepatch
	insmod "$HERE/rf_livepatch.ko"
	settled $patch
	[ "$(</proc/cmdline)" = "live patched" ] || fail "no effect"
	echo 0 >$patch/enabled
	settled $patch
	[ "$(</proc/cmdline)" != "live patched" ] || fail "the effect stays"
	for _ in $(seq 50); do
		! rmmod rf_livepatch 2>/dev/null || { echo "on, seen, off, unloaded"; return; }
		sleep 0.2
	done
	fail "the module stays"
}

# flip FILE ON: that value, then the old one, both read back
flip() {
	local before
	before=$(<"$1")
	for value in "$2" "$before"; do
		echo "$value" >"$1"
		[ "$(<"$1")" = "$value" ] || fail "$1 is $(<"$1"), not $value"
	done
}
# Each of them turns a static key.
step_keys() {
	local kernel=/proc/sys/kernel key
	for key in sched_schedstats task_delayacct bpf_stats_enabled timer_migration; do
		flip $kernel/$key $((1 - $(<$kernel/$key)))
	done
	flip /proc/sys/net/core/rps_sock_flow_entries 1024
	echo "5 keys"
}

# Static calls, one of them with thousands of sites.
step_preempt() {
	local file=$D/sched/preempt before model
	before=$(sed 's/.*(\(.*\)).*/\1/' $file)
	for model in none voluntary full "$before"; do
		echo "$model" >$file
		grep -q "($model)" $file || fail "preempt is $(<$file), not $model"
	done
	echo "none, voluntary, full, $before"
}

step_kfence() {
	need KFENCE
	local interval=/sys/module/kfence/parameters/sample_interval
	echo 50 >$interval
	grep -q 'enabled: 1' $D/kfence/stats || fail "not enabled"
	busy
	sleep 0.5
	local seen
	seen=$(awk '/total allocations/ { print $3 }' $D/kfence/stats)
	echo 0 >$interval
	[ "$seen" -gt 0 ] || fail "no allocation"
	echo "$seen allocations"
}

# Character sets, packet schedulers and classifiers: many, small, of no hardware.
step_modules() {
	local name loaded=0 folder
	folder=/lib/modules/$(uname -r)/kernel
	for name in $(find "$folder/fs/nls" "$folder/net/sched" -name '*.ko*' | sort | random "$modules"); do
		name=$(basename "${name%%.ko*}")
		! grep -q "^${name//-/_} " /proc/modules || continue
		modprobe "$name" || fail "modprobe $name"
		grep -q "^${name//-/_} " /proc/modules || fail "$name is not there"
		modprobe -r "$name" || fail "modprobe -r $name"
		loaded=$((loaded + 1))
	done
	[ $loaded -ge $((modules * 9 / 10)) ] || fail "only $loaded"
	echo "$loaded modules"
}

step_hotplug() {
	local online=/sys/devices/system/cpu/cpu1/online
	for _ in 1 2 3; do
		echo 0 >$online
		[[ "$(nproc --all)" = 2 && "$(grep -c ^processor /proc/cpuinfo)" = 1 ]] || fail "cpu1 stays"
		echo 1 >$online
		[ "$(grep -c ^processor /proc/cpuinfo)" = 2 ] || fail "cpu1 does not come back"
	done
	echo "3 times off and on"
}

tell() { echo "RF: storm $*"; read -r _; }

storm() {
	local began status detail result
	for name in ${steps//,/ }; do
		tell "begin step=$name round=$round"
		began=$EPOCHREALTIME
		# A command that fails ends its step.
		detail=$(set -e; "step_$name" 2>&1)
		status=$?
		case $status in 0) result=ok ;; 77) result=skipped ;; *) result=failed ;; esac
		[ $result = ok ] || { clean_trace; no_probes; } 2>/dev/null
		tell "end step=$name round=$round result=$result seconds=$(minus "$EPOCHREALTIME" "$began")" \
			"detail=$(tail -n 1 <<<"$detail")"
	done
}
minus() { awk "BEGIN { printf \"%.3f\", $1 - $2 }"; }

stty -echo -onlcr
mountpoint -q $T || mount -t tracefs tracefs $T
mountpoint -q $D || mount -t debugfs debugfs $D
all=function,graph,tracepoints,digest,kprobes,optprobes,uprobes,perf,bpf,livepatch,keys,preempt,kfence,modules,hotplug
steps=$(option steps $all) seed=$(option seed 1)
probes=$(option probes 1000) inside=$(option inside 250) modules=$(option modules 50)
functions=$(option functions all)
tell "up kernel=$(uname -r) cpus=$(nproc)"
for round in $(seq "$(option rounds 1)"); do
	[ "$round" = 1 ] || [ $((SECONDS / 60)) -lt "$(option minutes 0)" ] || break
	storm
	done=$round
done
echo "RF: storm done rounds=$done"
