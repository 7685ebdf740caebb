# SPDX-License-Identifier: LGPL-2.1-or-later
# Part of run.sh: a VMM that has lost the fence, the descriptors it gets, and one that is only asked something. door.c
# says what is tried; each is tried without `run` first, where it must work.
door=$work/bin/door
gcc -D_GNU_SOURCE -o "$door" "$here/door.c" -lseccomp
says() { # NAME PATTERN COMMAND...: the pattern is a whole line of what it prints
	name=$1 want=$2; shift 2
	timeout 60 "$@" >"$out" 2>"$err" </dev/null
	grep -qx -e "$want" "$out" && ok || bad "no line \"$want\""
}

# Where no filter can be had nothing is started.
try no-seccomp 125 'kept from KVM (seccomp)' "$door" without $run -- "$work/bin/vmm" 0
try no-seccomp-help 125 'kept from KVM (seccomp)' "$door" without $run -- "$door" --version
name=doctor-no-seccomp; "$door" without "$rf" doctor >"$out" 2>"$err"
grep -q '^seccomp filters .*missing' "$out" && grep -q 'fix: .*CONFIG_SECCOMP_FILTER' "$out" && ok || bad "no such row"
name=doctor-seccomp; "$rf" doctor >"$out" 2>"$err"; grep -q '^seccomp filters .*present' "$out" && ok || bad "no such row"

# --- questions: they need no KVM -------------------------------------------------------------------
try help-code 7 'runs without fence and monitor' env CODE=7 $run -- "$door" --version
says help-has-no-fence 'vm: EPERM' env DOOR=vm $run -- "$door" -machine help
name=help-not-preloaded; ! grep -q 'with the fence' "$out" && ok || bad "the fence is in it"
says help-code-memory 'data: EPERM' env DOOR=code $run -- "$door" -cpu help
probe="-S -no-user-config -nodefaults -nographic -machine none,accel=kvm:tcg -qmp unix:$work/qmp,server=on,wait=off -pidfile $work/pid -daemonize"
try probe-code 9 'a probe of what this VMM can do; it runs without fence and monitor, and can run no guest' env CODE=9 $run -- "$door" $probe
says control-run 'run: \(EINVAL\|ENOTTY\)' env DOOR=run "$door" $probe
says probe-runs-nothing 'run: EPERM' env DOOR=run $run -- "$door" $probe
says probe-code-memory 'data: done' env DOOR=code "$rf" run --state "$work/probed" --audit "$work/probed.jsonl" -- "$door" $probe
name=probe-leaves-nothing; [ ! -e "$work/probed" ] && [ ! -e "$work/probed.jsonl" ] && ! grep -q 'with the fence' "$out" && ok || bad "a state folder, or the fence"
# Who probes may throw standard error away: the system's log has it, too.
if unshare -m sh -c "mount -t tmpfs none /mnt" 2>/dev/null; then
	says probe-on-record '<29>.*ringfence\[[0-9]*\]: user [0-9]*: .*/door: a probe of what this VMM can do; it runs without fence and monitor, and can run no guest' \
		unshare -m sh -c "mount -t tmpfs none /mnt && touch /mnt/null && mount --bind /dev/null /mnt/null && mount --move /mnt /dev && exec python3 -c '
import socket, subprocess, sys
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.bind(\"/dev/log\")
log.settimeout(10)
subprocess.run(sys.argv[1:], stderr=subprocess.DEVNULL, check=True)
print(log.recv(1000).decode())' $run -- $door $probe"
else
	skip probe-on-record "nothing may be mounted"
fi
try probe-no-program 127 'no program' $run -- "$work/bin/nothing" $probe
try probe-not-one 126 'is asked to run as a daemon' $run -- "$door" $probe -cpu host
says probe-descriptors "8 /dev/null" sh -c "DOOR=fds exec $run --pass-fd 8 -- $door $probe 7</dev/null 8</dev/null"
name=probe-no-more; [ "$(wc -l <"$out")" = 1 ] && ok || bad "more than it was to have"

# --- descriptors ------------------------------------------------------------------------------------
try pass-fd-closed 125 'is not open' $run --pass-fd 77 -- "$work/bin/vmm" 0
try pass-fd-no-number 125 'no descriptor' $run --pass-fd x -- "$work/bin/vmm" 0
try pass-fd-too-large 125 'no descriptor' $run --pass-fd 65536 -- "$work/bin/vmm" 0

if [ -z "$have_kvm" ]; then
	skip door "no usable /dev/kvm, so nothing can be started"
else
FAKE=attach; export FAKE
# Of 4 to 9 the command line names two, --pass-fd one; and all that `run` may have open it names in vain.
says descriptors-passed '8 /dev/zero' sh -c "DOOR=fds STAY=0.5 exec $run --pass-fd 6 -- $door -netdev tap,fds=8:9,vhostfd=12 -add-fd fd=9 \
	4</dev/zero 5</dev/zero 6</dev/zero 7</dev/zero 8</dev/zero 9</dev/zero"
name=descriptors-only; [ "$(grep -c /dev/zero "$out")" = 3 ] && grep -q '^9 ' "$out" && grep -q '^6 ' "$out" &&
	! grep -q '^[457] /dev/zero' "$out" && ok || bad "not those alone"
name=descriptors-of-runs; python3 -c 'import os, sys; os.closerange(3, 1000); os.execvp(sys.argv[1], sys.argv[1:])' \
	env DOOR=fds STAY=0.5 $run -- "$door" $(seq -f 'fd=%g' 3 200) >"$out" 2>"$err" </dev/null
# Its end of the link, and its page of the control-register watch where there is one.
[ -s "$out" ] && [ "$(grep -vc 'with the fence' "$out")" -le 2 ] && ! grep -qE 'audit|patches|policy|chain|key|pipe:' "$out" && ok || bad "some of run's own"
says no-activation 'done' sh -c "LISTEN_FDS=1 LISTEN_PID=1 exec $run -- sh -c 'sleep 0.5; env | grep LISTEN || echo done' 8</dev/zero"
says control-descriptors '7 /dev/zero' sh -c "DOOR=fds $door 7</dev/zero"
# The other end of one that the VMM has closed hears of it.
name=descriptor-let-go; timeout 20 sh -c "{ $run --pass-fd 7 -- sh -c 'exec 7>&-; sleep 8' 7>&1 >/dev/null 2>&1; } | { cat; date +%s >$work/eof; }" &
letgo=$!; began=$(date +%s); : >"$out"; : >"$err"
wait $letgo
[ $(($(cat "$work/eof") - began)) -lt 6 ] && ok || bad "run keeps it"

# --- no VM without the fence ------------------------------------------------------------------------
says control-vm 'vm: done' env DOOR=vm "$door"
says control-code 'memfd: done' env DOOR=code "$door"
export STAY=0.5
says no-vm 'vm: EPERM' env DOOR=vm $run -- "$door"
says no-vm-of-a-child 'vm: EPERM' env DOOR=vm $run -- sh -c "$door & wait"
says no-vm-without-preload 'vm: EPERM' env DOOR=libc $run -- env -u LD_PRELOAD "$door"
says no-vm-without-environment 'vm: EPERM' $run -- env -i DOOR=libc STAY=0.5 "$door"
says no-vm-not-asked 'vm: EPERM' env DOOR=libc $run -- sh -c "exec env \$(env | sed -n 's/^\(RINGFENCE_[A-Z]*\)=.*/-u \1/p') $door"
says no-code 'anonymous: EPERM' env DOOR=code $run -- "$door"
name=no-code-made; grep -qx 'data: EPERM' "$out" && grep -qx 'memfd: EPERM' "$out" && ok || bad "it can have code"
# A program that gains privilege loses LD_PRELOAD (ld.so(8)).
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null && chmod 755 "$work" "$work/bin" && cp "$door" "$work/bin/suid" && chmod 4755 "$work/bin/suid" &&
	[ "$(env DOOR=libc setpriv --reuid 65534 --regid 65534 --clear-groups "$work/bin/suid")" = 'vm: done' ]; then
	ok
	says no-vm-with-privilege 'vm: EPERM' env DOOR=libc $run -- setpriv --reuid 65534 --regid 65534 --clear-groups "$work/bin/suid"
else
	skip no-vm-with-privilege "needs root, setpriv, and set-user-id programs in $work"
fi
# Another user's `run` has its VMM gain none at all; root's has.
name=no-new-privs-root; $run -- sh -c 'grep NoNewPrivs: /proc/self/status; sleep 0.5' >"$out" 2>"$err"
grep -q 'NoNewPrivs:.0' "$out" && ok || bad "root's VMM cannot gain privilege"
if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null && mknod -m 666 "$work/kvm-of-all" c 10 "$((0x$(stat -c %T /dev/kvm)))" 2>/dev/null; then
	mkdir -m 700 "$work/others"; chown 65534 "$work/others"
	says no-new-privs-others 'NoNewPrivs:.1' unshare -m sh -c "mount --bind $work/kvm-of-all /dev/kvm && exec setpriv --reuid 65534 --regid 65534 --clear-groups \
		env FAKE=attach FAKE_LOG=/dev/null $rf run --state $work/others/s -- sh -c 'grep NoNewPrivs: /proc/self/status; sleep 0.5'"
else
	skip no-new-privs-others "no mount namespace or device may be made"
fi
unset STAY

# The real fence says the word; without it the same program is over at once, long before --start-timeout.
real_door="$build/ringfence run --state $work/state --audit $work/audit.jsonl"
try fence-says-the-word 0 'under protection' env DOOR=libc STAY=1 $real_door -- "$door"
name=fence-made-a-vm; grep -qx 'vm: done' "$out" && ok || bad "no VM"
began=$(date +%s)
try fence-lost 124 'ended with status 1 before it came under protection' env DOOR=libc CODE=1 $real_door -- env -u LD_PRELOAD "$door"
name=fence-lost-at-once; grep -qx 'vm: EPERM' "$out" && [ $(($(date +%s) - began)) -lt 15 ] && ok || bad "not refused, or not at once"

# Stock QEMU, probed as libvirt does; nothing makes a guest of it.
if command -v qemu-system-x86_64 >/dev/null; then
	for accel in kvm:tcg tcg; do
		try probe-qemu-$accel 0 'a probe of what' $run -- qemu-system-x86_64 $(echo "$probe" | sed "s/kvm:tcg/$accel/")
		name=probe-qemu-answers-$accel; timeout 30 python3 - "$work/qmp" >"$out" 2>"$err" <<'END' && ok || bad "it does not answer as it should"
import json, socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); f = s.makefile("rw")
def ask(command, **arguments):
    f.write(json.dumps({"execute": command, "arguments": arguments})); f.flush()
    while True:
        answer = json.loads(f.readline())
        if "return" in answer or "error" in answer:
            return answer
f.readline(); ask("qmp_capabilities")
assert ask("query-version")["return"]["qemu"]["major"] >= 5
assert "return" in ask("query-cpu-model-expansion", type="full", model={"name": "max"})
assert "hotplugged" in ask("device_add", driver="qemu64-x86_64-cpu", id="c")["error"]["desc"]
assert ask("query-cpus-fast")["return"] == []
ask("quit")
END
		kill "$(cat "$work/pid" 2>/dev/null)" 2>/dev/null
	done
	try help-qemu 0 '^QEMU emulator version' $run -- qemu-system-x86_64 --version
	try help-qemu-machines 0 '^microvm ' $run -- qemu-system-x86_64 -machine help
	# As libvirt starts a guest: its monitor is an open socket that the command line names.
	name=qemu-has-its-descriptor; timeout 60 python3 - $real_door -- qemu-system-x86_64 -accel kvm -M microvm -nodefaults -display none -m 64 -S \
		>"$out" 2>"$err" <<'END' && ok || bad "it does not answer on the socket that it was given"
import json, socket, subprocess, sys
ours, its = socket.socketpair()
vm = subprocess.Popen([*sys.argv[1:], "-chardev", f"socket,id=m,fd={its.fileno()}", "-mon", "chardev=m,mode=control"], pass_fds=[its.fileno()])
its.close()
f = ours.makefile("rw")
assert "QMP" in json.loads(f.readline())
for command in "qmp_capabilities", "quit":
    f.write(json.dumps({"execute": command})); f.flush()
    assert any("return" in json.loads(line) for line in iter(f.readline, ""))
f.read()
assert vm.wait() == 0
END
	began=$(date +%s)
	for accel in kvm tcg tcg,split-wx=on; do
		try qemu-lost-the-fence-$accel 124 'Operation not permitted' $real_door -- env -u LD_PRELOAD qemu-system-x86_64 -accel $accel -M microvm -nodefaults -display none -m 64 -S
	done
	name=qemu-lost-the-fence-at-once; [ $(($(date +%s) - began)) -lt 30 ] && ok || bad "it took $(($(date +%s) - began)) s"
else
	skip probe-qemu "no qemu-system-x86_64"
fi
fi
