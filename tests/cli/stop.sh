# SPDX-License-Identifier: LGPL-2.1-or-later
# Part of run.sh: `stop`. The monitor is the real one, the VMM makes a VM and waits.

try stop-nobody 3 'no VM nobody' "$rf" stop nobody
try stop-no-name 2 'needs the name of one VM' "$rf" stop
try stop-two 2 'needs the name of one VM' "$rf" stop a b

[ -n "$have_kvm" ] || return 0

: >"$work/stop.jsonl"
start_one() { # VMM ...
	"$build/ringfence" run --name web --state "$work/state" --audit "$work/stop.jsonl" -- "$@" >"$work/run.out" 2>&1 & first=$!
	monitor_of $first >/dev/null
}
start_one "$work/kvm" 60
name=first-policy; sed -n 1p "$work/stop.jsonl" | grep -q '"kind":"policy","outcome":"in force","detail":"the one that the VM is started with; every key is at its default"' &&
	ok || bad "the log does not say by which policy"
name=stop; timeout 60 "$rf" stop "$work/state" >"$out" 2>"$err"; code=$?
[ $code = 0 ] && grep -qx 'web: stopped' "$out" && ! kill -0 $first 2>/dev/null && ok || bad "exit code $code"
wait $first; code=$?; name=stop-status; [ $code = 143 ] && ok || bad "run ended with $code"
name=stop-recorded; tail -1 "$work/stop.jsonl" | grep -q '"type":"end"' && ok || bad "the record has no end"
name=stop-stopped; timeout 60 "$rf" stop "$work/state" >"$out" 2>"$err"; [ $? = 3 ] && grep -q 'to do:' "$err" && ok || bad "stopped twice"

start_one sh -c 'trap "" TERM; exec "$0" 60' "$work/kvm"
name=stop-in-vain; timeout 60 "$rf" stop --wait 1 "$work/state" >"$out" 2>"$err"; code=$?
[ $code = 4 ] && grep -q 'has not ended within 1 s' "$err" && kill -0 $first 2>/dev/null && ok || bad "exit code $code"
# Its pid is not believed from a file: that of nobody's VM is left alone.
sleep 60 & other=$!
name=stop-by-a-file; sed "s/\"pid\":[0-9]*/\"pid\":$other/; s/\"vmm_pid\":[0-9]*/\"vmm_pid\":$other/" "$work/state/vm.json" >"$work/vm.json" &&
	cp "$work/vm.json" "$work/state/vm.json"
timeout 60 "$rf" stop --wait 1 "$work/state" >"$out" 2>"$err"; kill -0 $other 2>/dev/null && ok || bad "a process that a file names was ended"
kill $other; pkill -KILL -P $first; wait $first 2>/dev/null
