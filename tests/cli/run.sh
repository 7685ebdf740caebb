#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# tests/cli/run.sh BUILD: the ringfence command against bad input. Needs no guest. Each case: the exit code, a
# word of the message, and that no process is left.
set -u
build=$(realpath "$1")
here=$(realpath "$(dirname "$0")")
work=$(mktemp -d /tmp/rf-cli-XXXXXX)
aside=$work.aside # for what runs beside the other cases
trap 'rm -rf "$work" "$aside"' EXIT
passed=0 failed=0 skipped=0
unset RINGFENCE_LIB LD_PRELOAD XDG_RUNTIME_DIR 2>/dev/null

mkdir "$work/bin" "$work/empty"
cp "$build/ringfence" "$work/bin/"
cp -r "$build/policy" "$work/bin/"
mkdir -p "$work/installed/bin" "$work/installed/share/ringfence"
cp "$build/ringfence" "$work/installed/bin/"; cp -r "$build/policy" "$work/installed/share/ringfence/"
cp "$here/fake-monitor" "$work/bin/ringfence-monitor"
cp /bin/sleep "$work/bin/vmm"
cp /bin/true "$work/bin/true"
printf 'int rf_fake;\n' | gcc -shared -fPIC -x c - -o "$work/bin/libringfence.so"
rf=$work/bin/ringfence
out=$work/out err=$work/err
FAKE_LOG=$work/monitors; export FAKE_LOG

ok() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); printf 'cli  %s: FAILED: %s\n' "$name" "$1"; cat "$out" "$err"; }
skip() { skipped=$((skipped + 1)); printf 'cli  %s: skipped: %s\n' "$1" "$2"; }

# Processes of this test that still live, by their program's place and by what the fake monitors wrote down.
left() {
	for pid in $(cut -d' ' -f1 "$FAKE_LOG"); do kill -0 "$pid" 2>/dev/null && echo "$pid"; done
	for exe in /proc/[0-9]*/exe; do
		case $(readlink "$exe" 2>/dev/null) in "$work"/*) pid=${exe#/proc/}; echo "${pid%/exe}" ;; esac
	done
}

must_advise() { case $1 in 2 | 3 | 4 | 5 | 12[4567]) ;; *) return 1 ;; esac; }

# try NAME CODE TEXT COMMAND...: TEXT must stand in stdout or stderr, "" any.
try() {
	name=$1 want=$2 text=$3; shift 3
	: >"$FAKE_LOG"
	timeout 60 "$@" >"$out" 2>"$err" </dev/null
	code=$?
	if [ "$code" != "$want" ]; then
		bad "exit code $code, not $want"
	elif [ -n "$text" ] && ! grep -q -e "$text" "$out" "$err"; then
		bad "no \"$text\" in its message"
	elif must_advise "$want" && ! grep -q 'to do:' "$err"; then
		bad "an error that does not say what to do"
	elif [ -n "$(left)" ]; then
		bad "processes were left running: $(left)"
	else
		ok
	fi
}

run="$rf run --state $work/state --audit $work/audit.jsonl"
have_kvm=yes
"$rf" doctor 2>/dev/null | grep -q '^a VM can be made .* present' || have_kvm=

# --- the command line ---------------------------------------------------------------------------
try version 0 'ringfence [0-9]' "$rf" --version
try overview 0 doctor "$rf" --help
try no-command 2 'no command' "$rf"
try unknown-command 2 'frobnicate' "$rf" frobnicate
for c in run list status gadgets measure audit policy stop watch check hooks ps modules symbols disas pagetable print dump doctor demo; do
	try "help-$c" 0 "Usage: ringfence $c" "$rf" $c --help
	[ $c = run ] && continue
	try "unknown-option-$c" 2 'bogus' "$rf" $c --bogus
done
try run-codes 0 'control-register watch that the policy requires, state folder or log' "$rf" run --help
try run-unknown-option 125 'bogus' "$rf" run --bogus -- "$work/bin/vmm" 0
try run-no-program 125 'no VMM' "$rf" run
try run-bad-number 125 'start-timeout' "$rf" run --start-timeout 1x -- "$work/bin/vmm" 0
try run-option-needs-value 125 'needs a value' "$rf" run --name
try run-bad-name 125 'name' "$rf" run --name ../../etc -- "$work/bin/vmm" 0
try run-json-flag-value 2 'takes no value' "$rf" list --json=1
name=full-output; : >"$out"; : >"$err"
"$rf" doctor >/dev/full 2>"$err"; [ $? = 5 ] && ok || bad "a full output went unnoticed"

# --- what cannot be protected -------------------------------------------------------------------
try no-such-program 127 'no program' $run -- "$work/bin/nothing"
try no-such-program-in-path 127 'no program' $run -- rf-no-such-program
touch "$work/plain"; chmod 644 "$work/plain"
try not-executable-file 126 'cannot run' $run -- "$work/plain"
try a-folder 126 'cannot run' $run -- "$work/empty"
printf '#!/bin/sh\nexec true\n' >"$work/script"; chmod 755 "$work/script"
try script 126 'is a script' $run -- "$work/script"
printf 'hello' >"$work/text"; chmod 755 "$work/text"
try not-elf 126 'not an ELF' $run -- "$work/text"
head -c 80 /bin/true >"$work/cut"; chmod 755 "$work/cut"
try cut-elf 126 'damaged' $run -- "$work/cut"
printf 'int main(void){return 0;}\n' | gcc -static -x c - -o "$work/static"
try static-binary 126 'statically linked' $run -- "$work/static"
cp /bin/true "$work/suid"; chmod 4755 "$work/suid"
try set-uid-binary 126 'set-user-id' $run -- "$work/suid"
if cp /bin/true "$work/cap" && setcap cap_net_raw+ep "$work/cap" 2>/dev/null; then
	try file-capabilities 126 'file capabilities' $run -- "$work/cap"
else
	skip file-capabilities "setcap is not there or not allowed"
fi
try daemonize 126 'daemon' $run -- "$work/bin/vmm" -daemonize

printf 'version: 1\npin: { control_watch: required }\n' >"$work/watch.yaml"
# --- what is missing ----------------------------------------------------------------------------
try library-missing 125 'libringfence.so' env RINGFENCE_LIB="$work/none.so" $run -- "$work/bin/vmm" 0
try library-is-text 125 'not an ELF' env RINGFENCE_LIB="$work/text" $run -- "$work/bin/vmm" 0
mkdir "$work/a b"; cp "$work/bin/libringfence.so" "$work/a b/"
try library-path-with-space 125 'cannot be preloaded' env RINGFENCE_LIB="$work/a b/libringfence.so" \
	$run -- "$work/bin/vmm" 0
if [ -e /usr/bin/ringfence-monitor ]; then
	skip monitor-missing "one is installed"
else
	mkdir "$work/alone"; cp "$build/ringfence" "$work/bin/libringfence.so" "$work/alone/"
	try monitor-missing 125 'ringfence-monitor' env PATH=/bin "$work/alone/ringfence" run \
		--state "$work/state" -- "$work/bin/vmm" 0
fi
try no-kvm 125 'none' $run --kvm "$work/none" -- "$work/bin/vmm" 0
try not-kvm 125 'is not KVM' $run --kvm /dev/null -- "$work/bin/vmm" 0
try doctor-no-kvm 1 'required' "$rf" doctor --kvm "$work/none"
fake=$work/host; mkdir -p "$fake/sys/kernel/btf" "$fake/sys/module/kvm" "$fake/sys/fs/bpf" "$fake/proc/self" "$fake/proc/sys/kernel" \
	"$fake/sys/bus/event_source/devices/kprobe"
# What the control-register watch needs, taken away one by one; the last word is of the row's line.
row() { # NAME PATTERN
	name=$1; env RINGFENCE_HOST_ROOT="$fake" "$rf" doctor >"$out" 2>"$err"
	grep -qE "$2" "$out" && ok || bad "no line like $2"
}
row doctor-no-btf 'BTF.*missing.*no /sys/kernel/btf/vmlinux'
row doctor-no-status 'rights to load BPF.*unknown'
row doctor-no-perf 'kprobes.*missing.*no perf'
row doctor-no-kallsyms 'kvm_set_cr0 and.*unknown'
row doctor-no-bpffs 'BPF file system.*missing.*nothing is mounted'
touch "$fake/sys/kernel/btf/vmlinux" "$fake/sys/module/kvm/initstate"
row doctor-no-module-btf 'BTF.*missing.*no /sys/kernel/btf/kvm'
touch "$fake/sys/kernel/btf/kvm"
row doctor-btf 'BTF.*present'
printf 'Name:\tx\nCapEff:\t000000ffffffffff\n' >"$fake/proc/self/status"
row doctor-caps 'rights to load BPF.*present'
printf 'CapEff:\t0000007fffffffff\n' >"$fake/proc/self/status"
row doctor-no-cap-bpf 'rights to load BPF.*missing.*no CAP_BPF'
printf 'CapEff:\t0000000000000000\n' >"$fake/proc/self/status"
row doctor-no-caps 'rights to load BPF.*missing.*no CAP_SYS_ADMIN'
echo 4 >"$fake/proc/sys/kernel/perf_event_paranoid"
row doctor-no-kprobe 'kprobes.*missing.*no /sys/bus/event_source/devices/kprobe/type.*paranoid is 4'
row doctor-kprobe-fix 'fix: .*CONFIG_KPROBE_EVENTS.*in a container, mount /sys'
echo 6 >"$fake/sys/bus/event_source/devices/kprobe/type"
row doctor-paranoid 'kprobes.*present.*paranoid is 4'
printf '0 t kvm_set_cr4\t[kvm]\n0 T kvm_set_cr0x\n0 d kvm_set_cr0\njunk\n' >"$fake/proc/kallsyms"
row doctor-no-symbol 'kvm_set_cr0 and.*missing.*no kvm_set_cr0 in'
printf '0 T kvm_set_cr0\t[kvm]\n' >>"$fake/proc/kallsyms"
row doctor-symbols 'kvm_set_cr0 and.*present'
# A protection that is off, or weaker than README's table says, has its row there, and is no 0.
mkdir -p "$fake/sys/module/kvm_amd/parameters"
echo Y >"$fake/sys/module/kvm_amd/parameters/vls"
name=doctor-vmload-off; env RINGFENCE_HOST_ROOT="$fake" "$rf" doctor >"$out" 2>"$err"; code=$?
if [ -n "$have_kvm" ]; then
	[ $code = 1 ] && grep -q "^This host offers all that ringfence requires\.$" "$out" &&
		grep -q "^Off or weaker on this host: LSTAR; STAR, .* (vmload exits is missing)\.$" "$out" && ok || bad "exit code $code, or no such row"
else
	skip doctor-vmload-off "no usable /dev/kvm"
fi
echo N >"$fake/sys/module/kvm_amd/parameters/vls"
name=doctor-vmload-on; env RINGFENCE_HOST_ROOT="$fake" "$rf" doctor >"$out" 2>"$err"
grep -q 'vmload exits .*present.*vls: N' "$out" && ! grep -q '^Off.*LSTAR' "$out" && ok || bad "a protection that is on is told to be off"
name=doctor-json-off; env RINGFENCE_HOST_ROOT="$fake" "$rf" doctor --json >"$out" 2>"$err"; code=$?
python3 -c 'import json, sys
o, code = json.load(open(sys.argv[1])), int(sys.argv[2])
assert code == (0 if o["ok"] else 1) and o["ok"] == (o["required"] and not o["off"])
watch = [f["state"] for f in o["facilities"] if f["facility"] == "control-register watch"]
assert (watch == ["present"]) == (not o["off"])' "$out" $code 2>>"$err" && ok || bad "the exit code and what is off do not agree"
name=doctor-rows-of-the-readme; : >"$out"
sed -n 's/^\t  \.weakens = "\(.*\)",$/\1/p' "$here/../../cli/doctor_table.c" | while read -r row; do
	grep -qF "| $row" "$here/../../README.md" || echo "$row"
done >"$out"
[ ! -s "$out" ] && ok || bad "rows that README does not have"
if unshare -pf true 2>/dev/null; then
	[ -z "$have_kvm" ] || try run-watch-other-namespace 125 'process-id namespace' env FAKE=attach unshare -pf "$rf" run --state "$work/state" --policy "$work/watch.yaml" -- "$work/bin/vmm" 0
	name=doctor-other-namespace; unshare -pf "$rf" doctor >"$out" 2>&1
	grep -qE "host's own process ids.*missing" "$out" && ok || bad "it was taken for the host's own"
else
	skip doctor-other-namespace "no process-id namespace may be made"
fi
if command -v setpriv >/dev/null && [ "$(id -u)" = 0 ]; then
	name=doctor-not-root; setpriv --reuid 65534 --regid 65534 --clear-groups "$rf" doctor >"$out" 2>&1
	grep -qE 'control-register watch.*(missing|unknown)' "$out" && ok || bad "others than root are told that it works"
else
	skip doctor-not-root "setpriv is not there, or this is not root"
fi
try doctor-json 1 '"ok": false' "$rf" doctor --json --kvm "$work/none"

# --- the policy ---------------------------------------------------------------------------------
printf 'version: 1\nmdoe: observe\n' >"$work/bad.yaml"
try policy-unknown-key 125 'line 2.*there is no such key' $run --policy "$work/bad.yaml" -- "$work/bin/vmm" 0
try policy-missing 125 'give --policy the path' $run --policy "$work/none.yaml" -- "$work/bin/vmm" 0
try policy-folder 125 'not a regular file' $run --policy "$work" -- "$work/bin/vmm" 0
printf 'version: 1\nmode: observe\ndma_sweep_ms: 9\n' >"$work/range.yaml"
try policy-range 125 'line 3, column 1: dma_sweep_ms is not within 10 to 3600000' $run --policy "$work/range.yaml" -- "$work/bin/vmm" 0
printf 'version: 1\non_log_full: ask\n' >"$work/ask.yaml"
try policy-log-full 125 'line 2, column 14: on_log_full .*pause, deny, continue' $run --policy "$work/ask.yaml" -- "$work/bin/vmm" 0
printf 'version: 1\nlog_quota_mb: 1048577\n' >"$work/quota.yaml"
try policy-log-quota 125 'line 2.*log_quota_mb is not within 0 to 1048576' $run --policy "$work/quota.yaml" -- "$work/bin/vmm" 0
printf 'version: 1\npin: { control: false, control_watch: required }\n' >"$work/nopins.yaml"
head -c 70000 /dev/zero | tr '\0' '#' >"$work/big.yaml"
try policy-too-large 125 'too large' $run --policy "$work/big.yaml" -- "$work/bin/vmm" 0
try policy-watch-without-pins 125 "line 2, column 24: control_watch is required" $run --policy "$work/nopins.yaml" -- "$work/bin/vmm" 0

# --- the measurement of what is to arrive --------------------------------------------------------
sha=0123456789abcdef; sha=$sha$sha$sha$sha
measured="{\"version\":1,\"kernel\":\"Linux version 6.12\",\"regions\":[{\"kind\":\"text\",\"gva\":\"0x10\",\"gpa\":\"0x20\",\"size\":2048,\"sha256\":\"$sha\"}]}"
echo "$measured" >"$work/expect.json"
expect() { try "$1" 125 "$2" $run --expect "$3" -- "$work/bin/vmm" 0; }
expect expect-missing 'none.json' "$work/none.json"
expect expect-folder 'measurement.*not a regular file' "$work"
echo noise >"$work/noise.txt"
expect expect-noise 'measurement.*line 1' "$work/noise.txt"
expect expect-policy 'measurement.*line 1' "$work/watch.yaml"
echo "$measured" | sed 's/"version":1/"version":2/' >"$work/newer.json"
expect expect-newer 'not 1, the only one' "$work/newer.json"
echo "$measured" | sed 's/,"gpa":"0x20"//' >"$work/short.json"
expect expect-member-missing 'kind, gva, gpa' "$work/short.json"
{ echo "$measured"; head -c 20000 /dev/zero | tr '\0' ' '; } >"$work/large.json"
expect expect-too-large 'too large' "$work/large.json"
try expect-no-value 125 'needs a value' "$rf" run --expect

# --- the key that signs the log ------------------------------------------------------------------
try keygen 0 '^ringfence-audit+' "$rf" audit keygen "$work/key"
name=keygen-files; [ "$(stat -c %a "$work/key")" = 600 ] && cmp -s "$out" "$work/key.pub" && grep -q '^PRIVATE+KEY+ringfence-audit+' "$work/key" &&
	ok || bad "not a key of its own, and one for all"
cp "$work/key" "$work/key.was"
try keygen-twice 5 'File exists' "$rf" audit keygen "$work/key"
name=keygen-kept; cmp -s "$work/key" "$work/key.was" && ok || bad "a key was written over"
try keygen-nowhere 5 'No such file' "$rf" audit keygen "$work/none/key"
signed() { try "$1" 125 "$2" $run --audit-key "$3" -- "$work/bin/vmm" 0; }
signed audit-key-missing 'none.key' "$work/none.key"
chmod 600 "$work/key.pub"; signed audit-key-public 'not a secret key' "$work/key.pub"
chmod 644 "$work/key.was"; signed audit-key-open-to-others 'others may read it' "$work/key.was"
chmod 700 "$work/empty"; signed audit-key-folder 'not a regular file' "$work/empty"

if [ -z "$have_kvm" ]; then
	skip start "no usable /dev/kvm, so nothing can be started"
else
# --- state and log ------------------------------------------------------------------------------
FAKE=attach; export FAKE
try state-relative 125 'absolute' "$rf" run --state state -- "$work/bin/vmm" 0
mkdir -m 755 "$work/open"
try state-open-to-others 125 'open to others' "$rf" run --state "$work/open" -- "$work/bin/vmm" 0
try state-under-a-file 125 'state folder' "$rf" run --state "$work/plain/x" -- "$work/bin/vmm" 0
try state-too-long 125 'too long' "$rf" run --state "$work/$(printf '%0120d' 0)" -- "$work/bin/vmm" 0
rmdir "$work/$(printf '%0120d' 0)" 2>/dev/null
try audit-is-a-folder 125 'audit log' "$rf" run --state "$work/state" --audit "$work" -- "$work/bin/vmm" 0
ln -s /etc/hostname "$work/link"
try audit-is-a-link 125 'audit log' "$rf" run --state "$work/state" --audit "$work/link" -- "$work/bin/vmm" 0
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	chmod 755 "$work" "$work/bin"
	user="setpriv --reuid 65534 --regid 65534 --clear-groups env FAKE=$FAKE FAKE_LOG=/dev/null"
	chmod 666 /dev/null
	mkdir -m 700 "$work/roots"
	if $user test -w /dev/kvm; then
		try state-not-writable 125 'state folder' $user "$rf" run --state "$work/roots/x" -- "$work/bin/vmm" 0
	else
		try kvm-not-permitted 125 'cannot open /dev/kvm' $user "$rf" run --state "$work/roots/x" -- \
			"$work/bin/vmm" 0
	fi
else
	skip state-not-writable "needs root and setpriv"
fi

# What a check found pauses the VM, until somebody resumes it; or ends it, paused or not.
FAKE=pause
$run -- sh -c 'sleep 1; echo went on; exit 5' >"$out" 2>"$err" & paused=$!
name=check-pauses
for _ in $(seq 100); do
	vmm=$(sed -n 's/.*`kill -CONT \([0-9]*\)` resumes it, .*/\1/p' "$err")
	[ -n "$vmm" ] && grep -q '^State:	T' "/proc/$vmm/status" && break
	sleep 0.1
done
sleep 2
grep -q '^State:	T' "/proc/${vmm:-0}/status" && [ ! -s "$out" ] && ok || bad "the VMM does not stand still"
name=check-resumed; kill -CONT "${vmm:-0}"; wait $paused
[ $? = 5 ] && grep -q 'went on' "$out" && ok || bad "it did not go on"
# One that stands still hears of its end by SIGKILL alone.
$run -- sh -c 'trap "echo heard" TERM; sleep 60; echo went on' >"$out" 2>"$err" & paused=$!
name=check-paused-stops
for _ in $(seq 100); do
	vmm=$(sed -n 's/.*`kill -CONT \([0-9]*\)` resumes it, .*/\1/p' "$err")
	[ -n "$vmm" ] && grep -q '^State:	T' "/proc/$vmm/status" && break
	sleep 0.1
done
kill $paused; wait $paused
[ $? = 137 ] && [ ! -s "$out" ] && ok || bad "it is not ended"
FAKE=end
try check-ends 137 'the VM is ended for what a check has found (policy: checks_kill)' $run -- sleep 30
FAKE=attach

# A log that has no room for a decision more: none is started with it, unless it may be without.
FAKE=attach
printf 'version: 1\nlog_quota_mb: 1\n' >"$work/small.yaml"
printf 'version: 1\nlog_quota_mb: 1\non_log_full: continue\n' >"$work/lacks.yaml"
truncate -s 917504 "$work/long.jsonl"
long="$rf run --state $work/state --audit $work/long.jsonl"
try log-too-long 125 'has 917504 bytes; decisions may be added up to 917504' $long --policy "$work/small.yaml" -- "$work/bin/vmm" 0
try log-too-long-may-lack 0 'under protection' $long --policy "$work/lacks.yaml" -- /bin/sh -c 'sleep 0.5'
truncate -s 917503 "$work/long.jsonl"
try log-not-too-long 0 'under protection' $long --policy "$work/small.yaml" -- /bin/sh -c 'sleep 0.5'
# Room that is the log's own, whoever fills its file system; given back at the end.
mkdir "$work/disk"
if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=4m none "$work/disk" 2>/dev/null; then
	$rf run --state "$work/state" --audit "$work/disk/audit.jsonl" -- "$work/bin/vmm" 4 >"$out" 2>"$err" & disk=$!
	sleep 1.5
	dd if=/dev/zero of="$work/disk/others" bs=64k 2>/dev/null
	name=log-full-of-others; dd if=/dev/zero of="$work/disk/others" bs=4k count=1 oflag=append conv=notrunc 2>/dev/null && bad "the disk is not full"
	[ -s "$work/disk/others" ] && ok || bad "nobody has filled the disk"
	name=log-has-its-room; head -c 1000000 /dev/zero | tr '\0' x >>"$work/disk/audit.jsonl" && ok || bad "the log has no room of its own"
	wait $disk
	$rf run --state "$work/state" --audit "$work/disk/other.jsonl" -- "$work/bin/vmm" 1 >"$out" 2>"$err"
	name=log-without-room; [ $? = 0 ] && ok || bad "no VM is started where the disk is full"
	rm "$work/disk/others" "$work/disk/audit.jsonl"
	$rf run --state "$work/state" --audit "$work/disk/other.jsonl" -- "$work/bin/vmm" 1 >"$out" 2>"$err"
	name=log-room-given-back; [ "$(stat -c %b "$work/disk/other.jsonl")" -lt 64 ] && ok || bad "its room is kept"
	umount "$work/disk"
else
	skip log-has-its-room "no file system may be mounted"
fi

# --- a VMM that does not come under protection --------------------------------------------------
FAKE=never
try vmm-ends-at-once 124 'ended with status 0 before' $run -- "$work/bin/true"
try vmm-never-attaches 124 'within 1 s' $run --start-timeout 1 -- "$work/bin/vmm" 50
FAKE=other
try another-process-attaches 124 'came under protection, but' $run -- "$work/bin/vmm" 50
FAKE=die
try monitor-dies-at-start 125 'no luck today' $run -- "$work/bin/vmm" 50
# Ten seconds: it waits beside the others, out of the sight of left().
cp -r "$work/bin" "$aside"
FAKE=silent FAKE_LOG=$aside/log "$aside/ringfence" run --state "$aside/state" --audit "$aside/audit.jsonl" \
	-- "$aside/vmm" 50 >/dev/null 2>"$aside/err" & silent=$!

# --- one that does ------------------------------------------------------------------------------
FAKE=attach
try status-is-the-vmms 7 'under protection' $run -- /bin/sh -c 'sleep 0.5; exit 7'
try vmm-killed 137 'the VMM was killed by signal 9' $run -- /bin/sh -c 'sleep 0.5; kill -9 $$'
try environment 0 "^$work/bin/libringfence.so 1 socket:" $run -- \
	/bin/sh -c 'sleep 0.3; echo $LD_PRELOAD $RINGFENCE_VMM $(readlink /proc/$$/fd/$RINGFENCE_LINK)'
try preload-kept 0 "^$work/bin/libringfence.so:libm.so.6\$" env LD_PRELOAD=libm.so.6 $run -- \
	/bin/sh -c 'sleep 0.3; echo $LD_PRELOAD'
try inherited-descriptor 0 '^through$' sh -c "exec 9>&1; $run --pass-fd 9 -- /bin/sh -c 'sleep 0.3; echo through >&9'"
# The monitor gets a copy of each file, as it was, on a descriptor of its own.
name=files-to-monitor
echo 'version: 1' >"$work/plain.yaml"
$run --policy "$work/plain.yaml" --expect "$work/expect.json" -- /bin/sh -c 'sleep 0.5' >"$out" 2>"$err"
grep -q -- '--policy /proc/self/fd/8 .*--expect /proc/self/fd/9$' "$FAKE_LOG" && ok || bad "$(cat "$FAKE_LOG")"
name=expect-to-monitor; : >"$FAKE_LOG"
FAKE_EXPECT=$work/seen $run --expect "$work/expect.json" -- /bin/sh -c 'sleep 0.5' >"$out" 2>"$err"
cmp -s "$work/seen" "$work/expect.json" && ok || bad "the monitor did not get what the file says"
# In a namespace of its own no watch can be had; process ids differ there, so the fake monitor's VMM is not ours: any code.
if unshare -pf true 2>/dev/null; then
	name=run-not-watched; timeout 20 unshare -pf $run -- "$work/bin/vmm" 0 >"$out" 2>"$err"
	grep -q 'are not watched: .*; .ringfence doctor. tells what is lost' "$err" && ok || bad "no remedy where there is no watch"
else
	skip run-not-watched "no process-id namespace may be made"
fi
FAKE=garbage
try garbage-notifications 0 'under protection' $run -- "$work/bin/vmm" 1
try monitor-timeout-too-short 125 'would end monitors that live' $run --monitor-timeout 2 -- "$work/bin/vmm" 0
FAKE=hang; : >"$FAKE_LOG"
try monitor-hangs 0 'said nothing for .* s, and is killed' $run --monitor-timeout 3 -- "$work/bin/vmm" 12
name=monitor-after-it; [ "$(wc -l <"$FAKE_LOG")" -ge 2 ] && ok || bad "no other monitor was started"
FAKE=alive; : >"$FAKE_LOG"
try monitor-is-alive 0 'under protection' $run --monitor-timeout 3 -- "$work/bin/vmm" 9
name=one-that-lives; [ "$(wc -l <"$FAKE_LOG")" = 1 ] && ok || bad "a monitor that says that it lives was killed"
# It asks and asks, and reads no answer.
FAKE=deaf; : >"$FAKE_LOG"; mkdir "$work/deaf"
try monitor-reads-nothing 0 'does not read what it is sent, and is killed' timeout -k 1 30 \
	"$rf" run --state "$work/state" --audit "$work/deaf/audit.jsonl" -- "$work/bin/vmm" 8
name=monitor-after-the-deaf; [ "$(wc -l <"$FAKE_LOG")" -ge 2 ] && ok || bad "no other monitor was started"
FAKE=crash; : >"$FAKE_LOG"
try monitor-started-again 0 'another one is started' $run -- "$work/bin/vmm" 6
name=monitor-restarts; n=$(wc -l <"$FAKE_LOG")
[ "$n" = 7 ] && ok || bad "$n monitors were started, not 7"
name=state-removed; [ ! -e "$work/state" ] && ok || bad "the state folder is left"

FAKE=moved; : >"$FAKE_LOG"
try vmm-is-another-one-later 137 'process 1 says that it is the VMM' $run -- "$work/bin/vmm" 20

FAKE=attach
try vmm-cannot-free-the-name 0 '^nothing$' $run -- /bin/sh -c 'sleep 0.3; readlink /proc/$$/fd/* | grep /lock || echo nothing'
$run --name twice -- "$work/bin/vmm" 30 >/dev/null 2>&1 & first=$!
sleep 1
name=second-of-a-name
timeout 20 "$rf" run --state "$work/state" -- "$work/bin/vmm" 0 >"$out" 2>"$err"
[ $? = 125 ] && grep -q 'runs already' "$err" && ok || bad "a second VM took the place of the first"
name=list; "$rf" list --state-base "$work" >"$out" 2>"$err"
grep -q "^twice .*monitor lost" "$out" && ok || bad "the VM is not listed"
name=status; "$rf" status "$work/state" >"$out" 2>"$err"
[ $? = 4 ] && grep -q 'does not answer' "$err" && ok || bad "no word about a monitor that does not answer"
name=term-is-passed-on; kill -TERM $first; wait $first
[ $? = 143 ] && ok || bad "SIGTERM did not end the VMM"
name=nothing-left; [ -z "$(left)" ] && ok || bad "processes were left running"

# The real monitor: what it may, before a VMM is there and with one; and that it ends with the VMM.
cat >"$work/kvm.c" <<'END'
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	if (ioctl(open("/dev/kvm", O_RDWR), KVM_CREATE_VM, 0) < 0)
		return 1;
	/* As with -runas: another user, whom no folder of ours lets in. */
	if (argc > 2 && *argv[2] == 'u') {
		if (setgid(65534) || setuid(65534))
			return 1;
		sleep(atoi(argv[1]));
		return 0;
	}
	/* A child that holds all descriptors outlives the VMM. */
	if (argc > 2 && fork())
		sleep(1);
	else
		sleep(atoi(argv[1]));
	return 0;
}
END
gcc -o "$work/kvm" "$work/kvm.c"
real="$build/ringfence run --state $work/state --audit $work/audit.jsonl"
child_of() { # RUN OPTION: the process id of its child that was started with that, waited for
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		for pid in $(cat /proc/$1/task/$1/children 2>/dev/null); do
			case $(readlink "/proc/$pid/exe") in "$build"/ringfence-monitor)
				grep -qs -- "$2" "/proc/$pid/cmdline" && { sleep 0.3; echo "$pid"; return; } ;;
			esac
		done
		sleep 0.1
	done
}
monitor_of() { child_of "$1" --fence-fd; }
sweeper_of() { child_of "$1" --sweep-for; }
# Whoever has taken its parent's place may not reap it.
gone() { ! grep -q '^State:.[^Z]' "/proc/$1/status" 2>/dev/null; }
confined() { # MONITOR FILTERS: prints what is not as it should be
	grep -q "^Seccomp_filters:.$2\$" "/proc/$1/status" || echo "not $2 filters"
	grep -q '^NoNewPrivs:.1$' "/proc/$1/status" || echo "new privileges"
	for cap in CapInh CapPrm CapEff CapAmb; do
		grep -q "^$cap:.0000000000000000\$" "/proc/$1/status" || echo "$cap"
	done
	for limit in 'core file size' processes 'locked memory'; do
		grep -q "^Max $limit  *0  *0 " "/proc/$1/limits" || echo "limit: $limit"
	done
	grep -q '^Max open files  *64  *64 ' "/proc/$1/limits" || echo "limit: open files"
	grep -q '^Max address space  *2147483648 ' "/proc/$1/limits" || echo "limit: address space"
	# Of a process that may be dumped or traced they belong to its own user: proc(5).
	[ "$(stat -c %u "/proc/$1/limits")" = 0 ] || echo "dumpable"
	[ "$(id -u)" = 0 ] || return
	grep -q '^CapBnd:.0000000000000000$' "/proc/$1/status" || echo "CapBnd"
	grep -qE '^Groups:\s*$' "/proc/$1/status" || echo "groups"
	for id in Uid Gid; do grep -qE "^$id:\s+0" "/proc/$1/status" && echo "root's $id"; done
	for fd in "/proc/$1/fd"/*; do
		case $(readlink "$fd") in *policy* | *expect* | "$work/inherited") echo "still open: $(readlink "$fd")" ;; esac
	done
}
name=confined-waiting
$real --start-timeout 5 --policy "$work/plain.yaml" --expect "$work/expect.json" -- "$work/bin/vmm" 50 9>"$work/inherited" >"$out" 2>"$err" & first=$!
pid=$(monitor_of $first)
confined "$pid" 1 >"$work/wrong"; [ -n "$pid" ] && [ ! -s "$work/wrong" ] && ok || bad "$(cat "$work/wrong")"
name=status-waiting; "$rf" status "$work/state" >"$out" 2>"$err"
grep -q '^waits for *the VMM, which has not made its VM yet' "$out" && ok || bad "no status before there is a VMM"
kill -TERM $first; wait $first
name=confined-attached
$real -- "$work/kvm" 50 >"$out" 2>"$err" & first=$!
pid=$(monitor_of $first)
confined "$pid" 2 >"$work/wrong"; [ -n "$pid" ] && [ ! -s "$work/wrong" ] && ok || bad "$(cat "$work/wrong")"
name=status-attached; "$rf" status "$work/state" >"$out" 2>"$err"
grep -q '^waits for *the VMM, which has run no vCPU' "$out" && ok || bad "no status of the VM"
name=monitor-again-confined
kill -9 "$pid"; again=$(sleep 0.3; monitor_of $first)
confined "$again" 2 >"$work/wrong"; [ -n "$again" ] && [ "$again" != "$pid" ] && [ ! -s "$work/wrong" ] && ok ||
	bad "$(cat "$work/wrong")"
# Its sweeper: as confined; it goes with its monitor, and without it another one comes.
name=sweeper-confined; sweeper=$(sweeper_of $first)
confined "$sweeper" 2 >"$work/wrong"; [ -n "$sweeper" ] && [ ! -s "$work/wrong" ] && ok || bad "$(cat "$work/wrong")"
name=sweeper-again; kill -9 "$sweeper"; sleep 0.3; next=$(sweeper_of $first)
[ -n "$next" ] && [ "$next" != "$sweeper" ] && [ "$(monitor_of $first)" = "$again" ] && ok || bad "no other sweeper, or another monitor"
name=sweeper-again-said; grep -q 'the sweeper was killed by signal 9 .*; another one is started' "$err" && ok || bad "nothing was said"
name=sweeper-again-recorded; sleep 1
grep -q '"kind":"sweeper".*"started again"' "$work/audit.jsonl" && ok || bad "it is not in the log"
name=sweeper-in-status; "$rf" status --json "$work/state" >"$out" 2>&1
grep -q '"started": *[2-9]' "$out" && ok || bad "status does not know of it"
name=sweeper-goes-with-its-monitor; kill -9 "$again"; sleep 0.5; last=$(sweeper_of $first)
[ -n "$last" ] && [ "$last" != "$next" ] && gone "$next" && ok || bad "one monitor's sweeper serves another one"
kill -TERM $first; wait $first
name=sweeper-ends-with-run; sleep 0.3; gone "$last" && ok || bad "it is left"
name=sweeper-hangs
$real --monitor-timeout 3 -- "$work/kvm" 50 >"$out" 2>"$err" & first=$!
pid=$(monitor_of $first); sweeper=$(sweeper_of $first); kill -STOP "$sweeper"; sleep 5
gone "$sweeper" && [ "$(monitor_of $first)" = "$pid" ] && grep -q 'the sweeper has said nothing for .* s, and is killed' "$err" &&
	ok || bad "a sweeper that hangs is left, or its monitor is not"
kill -TERM $first; wait $first
if [ "$(id -u)" = 0 ]; then
	name=monitor-again-for-another-user
	$real -- "$work/kvm" 50 user >"$out" 2>"$err" & first=$!
	pid=$(monitor_of $first); kill -9 "$pid"
	for _ in $(seq 50); do grep -q 'another monitor .* serves again' "$err" && break; sleep 0.1; done
	grep -q 'another monitor .* serves again' "$err" && ok || bad "a VMM that is another user's does not find it"
	name=monitor-again-nobody-elses # who could come into the folder finds no way to be a monitor, or a VMM
	[ -z "$(find "$work/state" -type s ! -name control.sock ! -name reload.sock)" ] && ok || bad "something listens: $(ls "$work/state")"
	kill -TERM $first; wait $first
else
	skip monitor-again-for-another-user "needs root"
fi
# `run` killed: nobody could start another monitor, so the VMM ends, whatever it has become; the monitor writes that down.
run_is_killed() { # NAME VMM...
	name=$1; shift
	$real -- "$@" >"$out" 2>"$err" & first=$!
	pid=$(monitor_of $first) sweeper=$(sweeper_of $first); lines=$(wc -l <"$work/audit.jsonl"); kill -9 $first; wait $first 2>/dev/null
	for _ in $(seq 50); do gone "$pid" && [ -z "$(left)" ] && break; sleep 0.1; done
	[ -n "$pid" ] && gone "$pid" && gone "$sweeper" && [ -z "$(left)" ] && ok || bad "left: $(left)"
	name=$name-recorded; tail -n +$((lines + 1)) "$work/audit.jsonl" | grep '"type":"end"' | grep -q 'is gone, and the VM with it' && ok || bad "no such end on record"
}
name=end-of-a-vmm; lines=$(wc -l <"$work/audit.jsonl"); $real -- "$work/kvm" 1 >"$out" 2>"$err" # the control
tail -n +$((lines + 1)) "$work/audit.jsonl" | grep '"type":"end"' | grep -q '"cause":"the VMM ended"' && ok || bad "no such end on record"
run_is_killed run-killed-vmm-ends "$work/kvm" 50
[ "$(id -u)" != 0 ] || run_is_killed run-killed-another-user "$work/kvm" 50 user
name=name-after-run-killed; timeout 20 $real -- "$work/kvm" 1 >"$out" 2>"$err"; [ $? = 0 ] && ok || bad "the name is not free"
name=monitor-ends-though-a-child-holds-on
$real -- "$work/kvm" 6 fork >"$out" 2>"$err" & first=$!
pid=$(monitor_of $first); wait $first; sleep 0.5
[ -n "$pid" ] && gone "$pid" && [ -n "$(left)" ] && ok || bad "the monitor waits for a child of the VMM's"
for pid in $(left); do kill -9 "$pid" 2>/dev/null; done
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	name=doctor-monitor-user; "$rf" doctor >"$out" 2>"$err"
	grep -q "a user of the monitor's own .* present .*tried" "$out" && ok || bad "no user for the monitor"
	name=doctor-monitor-user-not-root; setpriv --reuid 65534 --regid 65534 --clear-groups "$rf" doctor >"$out" 2>&1
	grep -q "a user of the monitor's own .* missing .*only root" "$out" && ok || bad "a user that can be nobody else"
	name=doctor-monitor-user-no-kill
	setpriv --bounding-set -kill "$rf" doctor >"$out" 2>&1
	grep -q "a user of the monitor's own .* missing .*cannot signal" "$out" && ok || bad "a monitor that run could not end"
	name=run-without-cap-kill
	timeout 20 setpriv --bounding-set -kill $real -- "$work/kvm" 1 >"$out" 2>"$err"
	[ $? = 0 ] && grep -q 'no user of its own: cannot signal' "$err" && ok || bad "no word on the monitor's user"
else
	skip doctor-monitor-user "needs root and setpriv"
fi

# The log of a VM whose monitors were killed, and of all VMs that wrote to one file, is intact.
chained="$build/ringfence run --state $work/state --audit $work/chained.jsonl"
$chained -- "$work/kvm" 5 >"$out" 2>"$err" & first=$!
for _ in 1 2; do
	pid=$(monitor_of $first); kill -9 "$(sweeper_of $first)"; sleep 0.7; kill -9 "$pid"; sleep 0.5
done
name=verify-running; "$rf" audit verify "$work/state" >"$out" 2>"$err"
[ $? = 7 ] && grep -q 'open end$' "$out" && ok || bad "a log that is written to"
name=verify-killed-monitors; wait $first
"$rf" audit verify "$work/chained.jsonl" >"$out" 2>"$err" && grep -q 'yes  *0  *intact$' "$out" && ok || bad "it is not intact"
name=boot-id; grep -q "\"boot_id\":\"$(cat /proc/sys/kernel/random/boot_id)\"" "$work/chained.jsonl" && ok || bad "no boot_id, or another one"
# Signed, by one monitor after the other.
name=verify-signed; signed="$build/ringfence run --state $work/state --audit $work/signed.jsonl --audit-key $work/key"
$signed -- "$work/kvm" 16 >"$out" 2>"$err" & first=$!
pid=$(monitor_of $first); kill -9 "$(sweeper_of $first)"; sleep 11
grep -q '"type":"checkpoint"' "$work/signed.jsonl" || bad "no checkpoint after ten seconds"
kill -9 "$(sweeper_of $first)"; sleep 0.7; kill -9 "$pid"; pid=$(sleep 0.3; monitor_of $first)
confined "$pid" 2 >"$work/wrong"; [ -s "$work/wrong" ] && bad "$(cat "$work/wrong")"
wait $first
"$rf" audit verify --key "$work/key.pub" "$work/signed.jsonl" >"$out" 2>"$err" && grep -q 'yes  *[2-9]  *intact$' "$out" && ok || bad "it is not intact"
name=verify-signed-changed; sed '1s/"time":"20/"time":"19/' "$work/signed.jsonl" >"$work/changed.jsonl"
"$rf" audit verify --key "$work/key.pub" "$work/changed.jsonl" >"$out" 2>"$err"; [ $? = 1 ] && ok || bad "a change"
name=verify-signed-cut; sed '/"type":"checkpoint"/q' "$work/signed.jsonl" >"$work/cut.jsonl"
"$rf" audit verify --key "$work/key.pub" "$work/cut.jsonl" >"$out" 2>"$err"
[ $? = 7 ] && grep -q 'nothing after this checkpoint can be known$' "$out" && ok || bad "a cut"
name=verify-not-signed; "$rf" audit verify --key "$work/key.pub" "$work/chained.jsonl" >"$out" 2>"$err"
[ $? = 6 ] && grep -q 'no checkpoint$' "$out" && ok || bad "a log that nobody has signed"
# Emptied between two monitors: what was in it is named.
name=verify-emptied; $chained -- "$work/kvm" 4 >"$out" 2>"$err" & first=$!
pid=$(monitor_of $first); kill -9 "$(sweeper_of $first)"; sleep 0.7; : >"$work/chained.jsonl"; kill -9 "$pid"; wait $first
"$rf" audit verify "$work/chained.jsonl" >"$out" 2>"$err"
[ $? = 1 ] && grep -q '1 .*0x.* 1.* lost, as a gap says$' "$out" && ok || bad "what is lost is not named"
name=verify-shared-log; "$rf" audit verify "$work/audit.jsonl" >"$out" 2>"$err"; code=$?
{ [ $code = 0 ] || [ $code = 7 ]; } && [ "$(grep -c '^0x' "$out")" -ge 3 ] && ok || bad "the log of several VMs"

# `run` killed before its VMM has made a VM: that ends too. The name is its monitor's until that ends.
$run --name orphan -- "$work/bin/vmm" 50 >/dev/null 2>&1 & first=$!
sleep 1; kill -9 $first; wait $first 2>/dev/null; sleep 0.3
name=run-killed; pgrep -f "$work/bin/vmm 50" >/dev/null && bad "its VMM lives" || ok
name=name-of-a-monitor; timeout 20 "$rf" run --state "$work/state" -- "$work/bin/vmm" 0 >"$out" 2>"$err"
[ $? = 125 ] && grep -q 'runs already' "$err" && ok || bad "the name was given away before the last record"
for pid in $(cut -d' ' -f1 "$FAKE_LOG"); do kill -9 "$pid" 2>/dev/null; done
sleep 0.5
name=dead-vm; "$rf" status "$work/state" >"$out" 2>"$err"
[ $? = 3 ] && ok || bad "a dead VM is not told from a living one"
name=fake-left; for pid in $(cut -d' ' -f1 "$FAKE_LOG"); do kill -9 "$pid" 2>/dev/null; done; ok
try name-free-again 0 'under protection' $run -- "$work/bin/vmm" 1
fi

if [ -n "$have_kvm" ]; then
	name=monitor-never-ready; wait $silent
	[ $? = 125 ] && grep -q 'within 10 s' "$aside/err" && ok || bad "a silent monitor is waited for"
fi

# --- list, status, audit ------------------------------------------------------------------------
try list-nothing 0 NAME "$rf" list --state-base "$work/none"
try list-json 0 '\[\]' "$rf" list --json --state-base "$work/none"
try status-nobody 3 'no VM' "$rf" status nobody
try status-no-name 2 'name' "$rf" status
try audit-no-file 3 'cannot read' "$rf" audit tail "$work/none.jsonl"
try audit-usage 2 '"show" is none of' "$rf" audit show x
try audit-no-verb 2 'needs .tail., .patches., .verify. or .export.' "$rf" audit web
try audit-tail-two 2 'takes the name of one' "$rf" audit tail web mail
try audit-dashes 2 '.-tail is not an option' "$rf" audit --tail web
# A folder that was never a VM's is nobody's to delete.
mkdir "$work/foreign"; touch "$work/foreign/mine"
for c in status gadgets measure; do try "foreign-folder-$c" 3 'not the state folder of a VM' "$rf" $c "$work/foreign"; done
name=foreign-folder-kept; "$rf" status "$work/foreign" >"$out" 2>"$err"
! grep -qE 'is dead|remove' "$out" "$err" && [ -e "$work/foreign/mine" ] && ok || bad "it asks for a foreign folder's removal"
mkdir -p "$work/base/stray" "$work/base/left"; touch "$work/base/left/lock"
name=list-foreign; "$rf" list --state-base "$work/base" >"$out" 2>"$err"
grep -q '^left *dead' "$out" && ! grep -q stray "$out" && ok || bad "a folder that was never a VM's is listed"
name=demo; "$rf" demo >"$out" 2>"$err"; code=$?
{ [ $code = 1 ] || [ $code = 2 ]; } && grep -q 'make demo' "$err" && ok || bad "the demo does not say where to run it"

log=$work/log.jsonl
cat >"$log" <<'END'
{"time":"2024-05-01T10:00:00.123456789Z","vm":"a","instance":"0x1","type":"decision","event":1,"vcpu":0,"kind":"write","region":"rodata","target":{"symbol":"sys_call_table","offset":"0x190","addr":"0xffffffff82000190"},"writer":{"symbol":"attack","offset":"0x4","addr":"0xffffffffc0001004","module":"evil"},"task":{"comm":"x\u001b[31m","pid":7,"uid":0,"claimed_by_guest":true},"rule":"rodata-is-never-written","verdict":"blocked"}
{"type":"outcome","event":1,"status":"ok"}
not json
{"type":"outcome","event":2,"status":"failed"}
{"time":"2024-05-01T10:00:01.0Z","type":"dec
{"type":"decision","event":3,"verdict":"allowed","kind":"write","rule":"text-patch-legal-step"}
END
printf '{"type":"decision","event":4,"verdict":"blo' >>"$log"
try audit-table 0 '^2024-05-01T10:00:00.123 .*blocked .*sys_call_table+0x190 .*attack+0x4 \[evil\] .*x?\[31m(7)' \
	"$rf" audit tail "$log"
try audit-torn 0 '3 lines of .* are not records' "$rf" audit tail "$log"
name=audit-ok-outcomes-hidden; "$rf" audit tail "$log" 2>/dev/null | grep -c outcome >"$out"
[ "$(cat "$out")" = 1 ] && ok || bad "outcomes that are ok are shown, or others are not"
name=audit-last; "$rf" audit tail -n 1 "$log" >"$out" 2>/dev/null
[ "$(wc -l <"$out")" = 2 ] && grep -q 'legal-step' "$out" && ok || bad "-n 1 is not the last record"
name=audit-json; "$rf" audit tail --json "$log" >"$out" 2>/dev/null
[ "$(wc -l <"$out")" = 4 ] && grep -qi 'x.u001b' "$out" && ok || bad "JSON lines"
name=audit-follow; timeout 3 "$rf" audit tail -f -n 0 "$log" >"$out" 2>/dev/null & pid=$!
sleep 0.5; printf '"}\n{"type":"decision","event":5,"verdict":"blocked"}\n' >>"$log"
sleep 0.7; mv "$log" "$log.1"; printf '{"type":"decision","event":6,"verdict":"blocked"}\n' >"$log"; wait $pid
grep -q '^- *5 ' "$out" && grep -q '^- *6 ' "$out" && ok || bad "following loses lines when the log is rotated"
# A cause is told to its end, and a control character in it is none of the terminal's.
cause=$(printf '%0400d' 0)
printf '{"type":"decision","event":7,"kind":"load","detail":"%s\\u001b its end"}\n' "$cause" >"$work/long.jsonl"
printf '{"type":"decision","event":7,"kind":"reset","outcome":"seals released","detail":"by the VMM"}\n' >"$work/reset.jsonl"
name=audit-outcome-and-detail; "$rf" audit tail "$work/reset.jsonl" >"$out" 2>"$err"
grep -q 'seals released: by the VMM$' "$out" && ok || bad "what became of it is not shown"
name=audit-whole-cause; "$rf" audit tail "$work/long.jsonl" >"$out" 2>"$err"
grep -q "${cause}? its end\$" "$out" && ok || bad "a cause is cut"
name=audit-whole-cause-followed; timeout 2 "$rf" audit tail -f -n 0 "$work/long.jsonl" >"$out" 2>"$err" & pid=$!
sleep 0.7; cat "$work/long.jsonl" >"$work/again"; cat "$work/again" >>"$work/long.jsonl"; wait $pid
grep -q "${cause}? its end\$" "$out" && ok || bad "a cause is cut when the log is followed"
head -c 100000 /dev/urandom >"$work/noise"
try audit-noise 0 '' "$rf" audit tail "$work/noise"
head -c 9000000 /dev/zero >"$work/zeros"
try audit-one-huge-line 0 '' "$rf" audit tail "$work/zeros"

# Verified: a log for each answer that there is.
logs=$here/../fuzz/corpus/fuzz_verify
try verify-intact 0 '^result: intact' "$rf" audit verify "$logs/intact"
try verify-table 1 '^.*changed  *1  *0x1  *1  *changed$' "$rf" audit verify "$logs/changed"
try verify-lost 1 '4  *0x1  *2  *lost' "$rf" audit verify "$logs/lost_and_twice"
try verify-gap 1 '2 to 5  *lost, as a gap says' "$rf" audit verify "$logs/gap"
try verify-cut 7 '^result: open end' "$rf" audit verify "$logs/cut"
try verify-torn 0 '2  .*torn, as the next line says' "$rf" audit verify "$logs/torn"
try verify-json 1 '"found": "moved"' "$rf" audit verify --json "$logs/moved"
name=verify-json-parsed; "$rf" audit verify --json "$logs/moved" | python3 -c 'import json, sys
report = json.load(sys.stdin)
assert report["result"] == "not intact" and [i["instance"] for i in report["instances"]] == ["0x1", "0x2"], report
assert report["findings"][0]["line"] == 2 and report["findings"][0]["file"].endswith("moved"), report' 2>"$err" && ok || bad "not as JSON"
try verify-older 6 '1 lines  *not chained' "$rf" audit verify "$work/reset.jsonl"
try verify-noise 6 '^result: cannot tell' "$rf" audit verify "$work/noise"
try verify-one-huge-line 6 '^result: cannot tell' "$rf" audit verify "$work/zeros"
: >"$work/none"; try verify-nothing 6 '^result: cannot tell (no record in it)$' "$rf" audit verify "$work/none"; rm "$work/none"
try verify-missing 3 "cannot read the log $work/none.jsonl: No such file" "$rf" audit verify "$logs/intact" "$work/none.jsonl"
try verify-missing-name 3 'cannot read the log nobody: No such file' "$rf" audit verify nobody
try verify-folder 3 'cannot read the log' "$rf" audit verify "$work/empty"
"$rf" audit keygen "$work/other" >"$out"
try verify-other-key 1 '0x1  *8  *not signed' "$rf" audit verify --key "$work/other.pub" "$logs/signed"
try verify-key-secret 6 'public key .*it is none, but the secret key' "$rf" audit verify --key "$work/other" "$logs/signed"
try verify-key-missing 6 'public key .*No such file' "$rf" audit verify --key "$work/none.pub" "$logs/signed"
try verify-key-none 6 'public key .*it is none$' "$rf" audit verify --key "$logs/gap" "$logs/signed"
# By somebody without the key that has signed the seeds: "continued", and a note of theirs.
sed -n 's/^\t"\(ringfence-audit+.*\)";$/\1/p' "$here/../fuzz/fuzz_verify.c" >"$work/seeds.pub"
try verify-seeds 0 '^result: intact$' "$rf" audit verify --key "$work/seeds.pub" "$logs/signed"
for part in forged_part forged_tree; do
	try verify-$part 1 '^.*  3  *0x1  *8  *false checkpoint$' "$rf" audit verify --key "$work/seeds.pub" "$logs/$part"
	try verify-$part-no-key 1 'false checkpoint$' "$rf" audit verify "$logs/$part"
done
try verify-key-twice 2 '.-key may be given once' "$rf" audit verify --key "$work/other.pub" --key "$work/seeds.pub" "$logs/signed"
try verify-signed-no-key 0 '^result: intact (no key: one written anew would look the same)$' "$rf" audit verify "$logs/signed"
# A log that took nothing for a time: its chain as the manual describes it.
python3 - >"$work/unwritten" <<'END'
import hashlib
prev = "0" * 64
for seq, rest in enumerate(['"type":"unwritten","number":1,"decisions":7', '"type":"end"'], 1):
    line = '{"time":"2024-05-01T10:00:00.1Z","vm":"v","instance":"0x1","seq":%d,%s,"prev":"%s"' % (seq, rest, prev)
    prev = hashlib.sha256(line.encode()).hexdigest()
    print('%s,"hash":"%s"}' % (line, prev))
END
try verify-unwritten 0 '1  *0x1  *1  *unwritten$' "$rf" audit verify "$work/unwritten"
name=verify-unwritten-intact; grep -q '^result: intact' "$out" && ok || bad "a full log is not tampering"
# What an option would not do anything for is refused.
for refused in 'verify -f' 'verify -n 3' 'patches -f' 'keygen --json' 'keygen -n 3' 'tail -k x'; do
	try "audit-refuses-$(echo $refused | tr -d ' ')" 2 'is for .*not for' "$rf" audit $refused "$work/refused"
done
name=audit-refused-did-nothing; [ ! -e "$work/refused" ] && ok || bad "it was done all the same"
try policy-line-of-another-verb 2 '.-line is for .policy explain.' "$rf" policy check --line 2 default
try run-help-profile 0 'policy FILE|PROFILE' "$rf" run --help
try audit-key-of-another-verb 2 'is for .verify.' "$rf" audit tail --key "$work/other.pub" "$logs/signed"
name=tail-no-checkpoints; "$rf" audit tail "$logs/signed" >"$out" 2>"$err"
grep -q ' end ' "$out" && ! grep -q checkpoint "$out" && ok || bad "checkpoints in the table, or no end"
name=verify-rotated; head -2 "$logs/intact" >"$work/part.1"; tail -n +3 "$logs/intact" >"$work/part"
"$rf" audit verify "$work/part.1" "$work/part" >"$out" 2>"$err" && ok || bad "parts in order"
try verify-rotated-misplaced 1 'part.1 .*moved' "$rf" audit verify "$work/part" "$work/part.1"

# The log of allowed patches beside it.
mkdir "$work/patched"; python3 "$here/patched.py" "$work/patched"; cp "$work/patched/one.patches" "$work/patched/whole"
try verify-patches 0 '^result: intact' "$rf" audit verify "$work/patched/one.jsonl"
try patches-named 0 'e8fbfdffff  *function_of_a_long_name+0x4  *\[a?b?\]$' "$rf" audit patches "$work/patched/one.jsonl"
name=patches-named-json; "$rf" audit patches --json "$work/patched/one.jsonl" | python3 -c 'import json, sys
lines = [json.loads(line) for line in sys.stdin]
assert len(lines) == 3 and all(line["function"] == "function_of_a_long_name+0x4" and line["target"] == "[a?b?]" for line in lines)' >"$out" 2>"$err" &&
	ok || bad "names are not in it"
head -c 100 "$work/patched/whole" >"$work/patched/one.patches"
try verify-patches-cut 1 'one.jsonl  *2  *0x1  *2  *the patch log is not what it says' "$rf" audit verify "$work/patched/one.jsonl"
{ cat "$work/patched/whole"; tail -c 32 "$work/patched/whole"; } >"$work/patched/one.patches"
try verify-patches-added 7 '0x1  *1 records  *patches that it says nothing of' "$rf" audit verify "$work/patched/one.jsonl"
rm "$work/patched/one.patches"; try verify-patches-gone 6 'the patch log is not there' "$rf" audit verify "$work/patched/one.jsonl"

# Each finding has a row in the manual, with what it makes of a log; and the manual's examples do what they say.
name=findings-in-the-manual; : >"$err"
sed -n 's/^.*= { "\(.*\)", RF_LOG_\(.*\) },$/\1:\2/p' "$here/../../policy/verify.c" | tr 'A-Z_' 'a-z ' | sort >"$work/kinds"
sed -n '/^\[\[ \*found\*/,/^# POLICY/p' "$here/../../docs/ringfence.1.scd" | awk '/^\|  /{ f = substr($0, 4) } /^:  /{ last = substr($0, 4) }
	/^(\||$)/ && was { print was ":" last } { was = "" } /^:  /{ was = f }' | sort >"$work/rows"
diff "$work/kinds" "$work/rows" >"$out" && [ "$(wc -l <"$work/kinds")" -ge 13 ] && ok || bad "findings and rows differ"
name=verify-examples; mkdir "$work/examples"; cp "$logs/intact" "$work/examples/web"
cp "$work/part.1" "$work/examples/audit.jsonl.1"; cp "$work/part" "$work/examples/audit.jsonl"
sed -n '/^# VERIFY/,/^# EXPORT/s/^ringfence .*/&/p' "$here/../../docs/ringfence.1.scd" >"$work/commands"
# The one that starts a VM is left out here (verify-signed does it), and what it would have signed stands for it.
grep -v '^ringfence run ' "$work/commands" >"$work/commands.here"
(cd "$work/examples" && PATH=$work/bin:$PATH && set -e && . "$work/commands.here") >"$out" 2>"$err"; code=$?
[ $code = 6 ] && [ "$(grep -c '^result: intact (no key' "$out")" = 2 ] && grep -q '"result": "intact"' "$out" && [ -e "$work/examples/audit.key.pub" ] &&
	grep -q 'no checkpoint$' "$out" && [ "$(wc -l <"$work/commands")" -ge 6 ] && ok || bad "an example of the manual ends with $code"

# Each kind of record that the monitor writes has a row in the manual, and each row a kind.
monitor_kinds() {
	cat "$here"/../../monitor/*.c | tr -s '\n\t ' ' ' | grep -oE '(kind = |rf_note\( ?g, )"[a-z-]+"|rf_look_at\(g, ev,[^;]*;' |
		grep -oE '"[a-z-]+"' | tr -d '"' | sort -u
}
name=kinds-in-the-manual; : >"$err"
monitor_kinds >"$work/kinds"
sed -n '/^\[\[ \*kind\*/,/^# VERIFY/s/^|  \([a-z-]*\).*/\1/p' "$here/../../docs/ringfence.1.scd" | sort -u >"$work/rows"
diff "$work/kinds" "$work/rows" >"$out" && [ "$(wc -l <"$work/kinds")" -ge 18 ] && ok || bad "kinds and rows differ"

. "$here/answers.sh"
. "$here/door.sh"
. "$here/export.sh"
. "$here/policy.sh"
. "$here/secrets.sh"
. "$here/messages.sh"
. "$here/reload.sh"
. "$here/stop.sh"
. "$here/paths.sh"
. "$here/tail.sh"
. "$here/watch.sh"
. "$here/rotate.sh"
. "$here/subject.sh"
. "$here/completion.sh"

printf 'cli  %d passed, %d failed, %d skipped\n' $passed $failed $skipped
[ $failed = 0 ] && [ $passed -gt 40 ]
