# SPDX-License-Identifier: LGPL-2.1-or-later
# Part of run.sh: other users and the place where the control-register watch is pinned. Each case has a BPF file system of its own.

# --- `watch`: who may be served, and where ------------------------------------------------------------------
try watch-operand 2 'takes no "x"' "$rf" watch x
try watch-per-user 2 'needs a number from 1 to 1024' "$rf" watch --per-user 0
if [ "$(id -u)" = 0 ]; then
	mkdir -m 777 "$work/open-to-all"
	try watch-folder-of-others 1 'cannot listen at .*open-to-all' timeout 20 "$rf" watch --group root --socket "$work/open-to-all/socket"
	try watch-no-group 1 'there is no group no-such-group' timeout 20 "$rf" watch --group no-such-group --socket "$work/served/socket"
	mkdir -m 755 "$work/served"
	name=watch-one-alone; flock "$work/served/lock" timeout 20 "$rf" watch --group root --socket "$work/served/socket" >"$out" 2>"$err"
	[ $? = 1 ] && grep -q 'another one listens there' "$err" && ok || bad "two in one place"
	if [ -e /sys/bus/event_source/devices/kprobe/type ]; then
		skip watch-no-kprobes "this host has kprobes"
	else
		try watch-no-kprobes 1 'cannot be used: the program cannot be attached' timeout 20 "$rf" watch --group root --socket "$work/served/socket"
		# Others may have the folder's lock, for it is open to them; that keeps nobody out.
		try watch-folder-is-locked 1 'cannot be used: the program cannot be attached' flock -n "$work/served" \
			timeout 20 "$rf" watch --group root --socket "$work/served/socket"
		name=watch-leaves-nothing; [ ! -e "$work/served/socket" ] && ok || bad "a socket that nobody hears"
	fi
fi
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	chmod 755 "$work" "$work/bin"
	try watch-not-root 1 'only root may load' setpriv --reuid 65534 --regid 65534 --clear-groups "$rf" watch
	name=watch-doctor-of-others
	RINGFENCE_WATCH_SOCKET=$work/none setpriv --reuid 65534 --regid 65534 --clear-groups "$rf" doctor >"$out" 2>&1
	grep -qE "control-register watch .*(unknown|only root may load it, and .ringfence watch., which does it for others, is not to be had at $work/none)" "$out" &&
		ok || bad "no word on who could have it"
else
	skip watch-not-root "needs root and setpriv"
fi

# --- other users in the BPF file system ----------------------------------------------------------------------
: >"$work/mounted"
if [ "$(id -u)" != 0 ] || ! command -v setpriv >/dev/null ||
	! unshare -m sh -c 'mount -t bpf bpf /sys/fs/bpf && ls /sys/fs/bpf' >"$work/mounted" 2>&1; then
	skip watch-name-taken "needs root, setpriv, and a BPF file system that may be mounted: $(head -1 "$work/mounted")"
	return 0
fi
cat >"$work/taken" <<'END'
#!/bin/sh
# taken COMMAND...: another user has taken our name where anybody may, and holds its lock.
mount -t bpf bpf /sys/fs/bpf || exit 90
setpriv --reuid 65534 --regid 65534 --clear-groups sh -c 'mkdir /sys/fs/bpf/ringfence && exec flock -x /sys/fs/bpf/ringfence sleep 60' &
user=$!
for n in $(seq 600); do flock -n /sys/fs/bpf/ringfence true 2>/dev/null || [ ! -d /sys/fs/bpf/ringfence ] || break; sleep 0.05; done
"$@"; code=$?
pkill -KILL -P $user; kill -KILL $user; wait $user 2>/dev/null
exit $code
END
chmod 755 "$work/taken"
taken="unshare -m $work/taken"
name=watch-name-taken-control; $taken timeout 2 flock -x /sys/fs/bpf/ringfence true >"$out" 2>"$err"
[ $? = 124 ] && ok || bad "that user has no lock to hold anybody with"
[ -z "$have_kvm" ] || # it is asked for the watch, and that with a guest
	try watch-name-taken-doctor 1 "is not root.s alone (user 65534, mode .*): as root, rm -r /sys/fs/bpf/ringfence" $taken timeout 30 "$rf" doctor
try watch-open-to-all-doctor 1 'BPF file system .*present .*may take our name in it (mode 1777): chmod 0700' $taken timeout 30 "$rf" doctor
# What doctor says where there is none leaves no room for that user.
"$rf" doctor 2>/dev/null | sed -n 's/^  fix: *\(mount -t bpf .*\)/\1/p' >"$work/fix"
name=watch-advice
if [ -s "$work/fix" ]; then
	unshare -m sh -c "$(cat "$work/fix") && stat -c %a /sys/fs/bpf && ! setpriv --reuid 65534 --regid 65534 --clear-groups mkdir /sys/fs/bpf/ringfence" \
		>"$out" 2>"$err" && grep -qx '1*700' "$out" && ok || bad "its advice lets others in"
else
	skip watch-advice "a BPF file system is mounted here"
fi
if [ -n "$have_kvm" ]; then
	FAKE=attach; export FAKE
	try watch-name-taken 0 'are not watched: .*is not root.s alone' $taken timeout 30 $run -- "$work/bin/vmm" 1
	try watch-name-taken-required 125 'watch cannot be used: .*is not root.s alone' $taken timeout 30 $run --policy "$work/watch.yaml" -- "$work/bin/vmm" 1
fi
