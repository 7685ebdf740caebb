# SPDX-License-Identifier: LGPL-2.1-or-later
# Part of run.sh: root runs, another user owns what is on the way. Beside each attack the same act where nobody else does.

if [ "$(id -u)" != 0 ] || ! command -v setpriv >/dev/null; then
	skip paths "needs root and setpriv"
	return 0
fi
uid=$((61000 + $$ % 2000)) # nobody else's, so that nothing of it is there
third=$((uid + 2000))
as="setpriv --clear-groups --reuid"
they="$as $uid --regid $uid env FAKE_LOG=/dev/null" others="$as $third --regid $third env FAKE_LOG=/dev/null"
base=/tmp/ringfence-$uid
python=$(PATH=/usr/bin:/bin command -v python3) # not one in root's own folder
forget() { rm -rf "$base" "/tmp/ringfence-$third" "/run/user/$uid"; }
forget
mkdir -m 755 "$work/ways" "$work/ways/ours" "$work/ways/theirs"; mkdir -m 1777 "$work/ways/sticky"
chmod 755 "$work" "$work/bin"; chmod 666 /dev/null
ours=$work/ways/ours theirs=$work/ways/theirs sticky=$work/ways/sticky
chown $uid:$uid "$theirs"
echo precious >"$work/ways/precious"
kept() { [ "$(cat "$work/ways/precious")" = precious ] && ok || bad "a file of root's was written over"; }
FAKE=attach; export FAKE

# --- what root writes -----------------------------------------------------------------------------
refused_key() { try "$1" 5 "$3" "$rf" audit keygen "$2"; name=$1-made-nothing; [ ! -e "$2" ] && [ ! -e "$2.pub" ] && ok || bad "there is one"; }
refused_key paths-key-below-theirs "$theirs/key" "theirs: user $uid's, mode 0755: its owner could put other things below it"
try paths-key-below-ours 0 '^ringfence-audit+' "$rf" audit keygen "$ours/key"
$they ln -s "$ours" "$sticky/way"
refused_key paths-key-by-their-link "$sticky/way/linked" "sticky/way: user $uid's, mode 0777: a symbolic link that somebody else could have put there"
ln -s ours "$work/ways/way"
try paths-key-by-our-link 0 '^ringfence-audit+' "$rf" audit keygen "$work/ways/way/linked"
printf 'version: 1\n' >"$sticky/policy.yaml"; $they ln -s "$work/ways/precious" "$sticky/policy.yaml.sig.new"
try paths-sign-by-their-link 5 'policy.yaml.sig.new: File exists' "$rf" policy sign --key "$ours/key" web "$sticky/policy.yaml"
name=paths-sign-kept; kept
rm "$sticky/policy.yaml.sig.new"
try paths-sign 0 'serial' "$rf" policy sign --key "$ours/key" web "$sticky/policy.yaml"
# A user namespace in which root of the host has no number: / is nobody's there, and usable.
if $they unshare -Ur true 2>/dev/null; then
	try paths-user-namespace 0 '^ringfence-audit+' $they unshare -Ur "$rf" audit keygen "$theirs/key"
	rm -f "$theirs/key" "$theirs/key.pub"
else
	skip paths-user-namespace "no user namespace may be made"
fi

if [ -z "$have_kvm" ]; then
	skip paths-run "no usable /dev/kvm, so nothing can be started"
else
by="$rf run --start-timeout 20"
try paths-state-below-theirs 125 "theirs: user $uid's, mode 0755: its owner could put" $by --state "$theirs/vm" --audit "$ours/a.jsonl" -- "$work/bin/vmm" 0
name=paths-state-made-nothing; [ ! -e "$theirs/vm" ] && ok || bad "it was made all the same"
try paths-state-below-ours 0 'under protection' $by --state "$ours/new/vm" --audit "$ours/a.jsonl" -- "$work/bin/vmm" 1
try paths-state-their-link 125 'a symbolic link that somebody else' $by --state "$sticky/way/vm" --audit "$ours/a.jsonl" -- "$work/bin/vmm" 0
try paths-state-in-sticky 0 'under protection' $by --state "$sticky/vm" --audit "$ours/a.jsonl" -- "$work/bin/vmm" 1
name=paths-state-gone; [ ! -e "$sticky/vm" ] && [ ! -e "$ours/new/vm" ] && ok || bad "the state folder is left"
chgrp 1234 "$ours"; chmod 775 "$ours"
try paths-state-open-parent 125 'mode 0775: others could put other things below it' $by --state "$ours/vm" --audit "$work/ways/a.jsonl" -- "$work/bin/vmm" 0
chmod 755 "$ours"; chgrp 0 "$ours"

# The folder above becomes theirs while the VM is started, and they put another one into the place of the state folder: with
# a link where its description is written first, and at last one to another VM's folder, whose lock and sockets would go.
mkdir -m 755 "$work/ways/later"; later=$work/ways/later
$by --name other --state "$ours/other" --audit "$ours/a.jsonl" -- "$work/bin/vmm" 30 >/dev/null 2>&1 & other=$!
FAKE=slow "$rf" run --name swapped --state "$later/vm" --audit "$ours/b.jsonl" -- "$work/bin/vmm" 4 >"$out" 2>"$err" & first=$!
for _ in $(seq 50); do [ -S "$later/vm/reload.sock" ] && [ -S "$ours/other/reload.sock" ] && break; sleep 0.1; done
chown $uid:$uid "$later"
$they mv "$later/vm" "$later/aside" && $they mkdir "$later/vm" && $they ln -s "$work/ways/precious" "$later/vm/vm.json.new"
for _ in $(seq 80); do grep -q 'under protection' "$err" && break; sleep 0.1; done
name=paths-described-where-it-is; grep -q '"name":"swapped"' "$later/aside/vm.json" && ok || bad "it went after the path"
name=paths-description-of-theirs; [ -h "$later/vm/vm.json.new" ] && [ ! -e "$later/vm/vm.json" ] && ok || bad "something was done in their folder"
name=paths-precious-kept; kept
$they mv "$later/vm" "$later/aside2" && $they ln -s "$ours/other" "$later/vm"
wait $first; code=$?; name=paths-swapped-ended; [ $code = 0 ] && ok || bad "exit code $code"
name=paths-other-vm-kept; [ -e "$ours/other/lock" ] && [ -S "$ours/other/control.sock" ] && [ -S "$ours/other/reload.sock" ] && [ -e "$ours/other/vm.json" ] &&
	ok || bad "another VM's lock or sockets were removed: $(ls "$ours/other")"
name=paths-own-gone; [ -z "$(ls "$later/aside")" ] && ok || bad "its own are left: $(ls "$later/aside")"
kill -TERM $other; wait $other; name=paths-other-gone; [ ! -e "$ours/other" ] && ok || bad "the other one's own are left"

# They make and remove folders and links at that name as fast as they can: it is refused, or root's own.
mkdir -m 755 "$work/ways/target"; made=$(stat -c %y "$work/ways/target")
$they sh -c 'while :; do ln -s "$1" "$2"; rm -f "$2"; mkdir "$2"; rmdir "$2"; done' sh "$work/ways/target" "$sticky/raced" >/dev/null 2>&1 & swapping=$!
for _ in $(seq 25); do
	FAKE=die timeout 20 "$rf" run --state "$sticky/raced/vm" --audit "$ours/a.jsonl" -- "$work/bin/vmm" 0 >"$out" 2>"$err"
done
kill $swapping; wait $swapping 2>/dev/null
name=paths-raced; [ "$(stat -c %y "$work/ways/target")" = "$made" ] && ok || bad "it followed a link, and made something there"
rm -rf "$sticky/raced"

# --- the log --------------------------------------------------------------------------------------
log_of() { try "$1" "$2" "$3" $by --state "$ours/vm" --audit "$4" -- "$work/bin/vmm" "$5"; }
log_of paths-log-below-theirs 125 "theirs: user $uid's, mode 0755" "$theirs/log.jsonl" 0
name=paths-log-made-nothing; [ ! -e "$theirs/log.jsonl" ] && ok || bad "it was made all the same"
log_of paths-log-by-their-link 125 'a symbolic link that somebody else' "$sticky/way/c.jsonl" 0
log_of paths-log-by-our-link 0 'under protection' "$work/ways/way/c.jsonl" 1
$they sh -c "umask 0; : >'$sticky/log.jsonl'"
log_of paths-log-of-theirs 125 "log.jsonl: user $uid's, mode 0666: its owner could change what is written" "$sticky/log.jsonl" 0
chown 0:0 "$sticky/log.jsonl"
log_of paths-log-open 125 'mode 0666: others could change what is written' "$sticky/log.jsonl" 0
chmod 644 "$sticky/log.jsonl"
log_of paths-log-of-ours 0 'under protection' "$sticky/log.jsonl" 1
ln "$work/ways/precious" "$ours/hard.jsonl"
log_of paths-log-hard-link 125 'it has another name' "$ours/hard.jsonl" 0
name=paths-log-hard-link-kept; kept
rm "$ours/hard.jsonl"; : >"$ours/hard.jsonl"
log_of paths-log-one-name 0 'under protection' "$ours/hard.jsonl" 1

# --- users without a login ------------------------------------------------------------------------
kvm=$work/kvm-device
if mknod -m 666 "$kvm" c 10 232 2>/dev/null && $they sh -c ": <>'$kvm'" 2>/dev/null; then
	place() {
		try "$1" "$2" "$3" $they "$rf" run --kvm "$kvm" --name web -- \
			/bin/sh -c 'sleep 1; stat -c "%u %a" "$0" 2>/dev/null || :' "$base"
	}
	place paths-no-login 0 "log $base/web/audit.jsonl\$"
	name=paths-no-login-closed; grep -qx "$uid 700" "$out" && ok || bad "its folder is not closed"
	echo '{"time":"2026-01-01T00:00:00Z","type":"end"}' >>"$base/web/audit.jsonl"
	try paths-log-of-an-ended-vm 0 'end' $they "$rf" audit tail web
	# A file of that name where somebody stands is not the VM's.
	try paths-log-not-from-here 0 '"end"' $they sh -c "cd '$sticky' && echo '{\"forged\":1}' >web && '$rf' audit tail --json web"
	grep -q forged "$out" && bad "anybody's file passes for its log"; rm -f "$sticky/web"
	try paths-log-in-its-folder 0 'end' $they "$rf" audit tail "$base/web"
	rm -rf "$base"; $others mkdir -m 777 "$base"
	place paths-no-login-theirs 125 "$base: user $third's, mode 0777: its owner could put"
	rmdir "$base"; $others ln -s "$work/ways/target" "$base"
	place paths-no-login-link 125 'a symbolic link that somebody else'
	rm "$base"
	made=; [ -d /run/user ] || made=$(mkdir /run/user && echo yes)
	mkdir -m 700 "/run/user/$uid"; chown $uid:$uid "/run/user/$uid"
	place paths-login-without-variable 0 "log /run/user/$uid/ringfence/web/audit.jsonl\$"
	chown $third "/run/user/$uid"
	place paths-login-of-another 0 "log $base/web/audit.jsonl\$"
	rm -r "/run/user/$uid"; [ -z "$made" ] || rmdir /run/user
	rm -rf "$base"
else
	skip paths-no-login "no KVM device can be made for another user"
fi
fi

# --- what root reads ------------------------------------------------------------------------------
# Who listens at SOCKET, as USER, and says ANSWER to each that asks.
teller=$work/ways/teller.py
cat >"$teller" <<'END'
import os, socket, sys
path, answer = sys.argv[1:3]
kind = socket.SOCK_SEQPACKET if path.endswith("reload.sock") else socket.SOCK_STREAM
listener = socket.socket(socket.AF_UNIX, kind)
listener.bind(path)
if len(sys.argv) > 3: # listens as that user, and is root again
    os.seteuid(int(sys.argv[3]))
listener.listen()
if len(sys.argv) > 3:
    os.seteuid(0)
while True:
    with listener.accept()[0] as client:
        try:
            client.recv(1000)
            client.sendall(answer.encode() + b"\n")
        except OSError: # gone already
            pass
END
tell() { # USER SOCKET ANSWER [LISTENER]
	teller_user=$1; shift; rm -f "$1"
	$as $teller_user --regid $teller_user "$python" "$teller" "$@" & teller_pid=$!
	for _ in $(seq 50); do [ -S "$1" ] && break; sleep 0.1; done; sleep 0.2
}
untell() { kill $teller_pid 2>/dev/null; wait $teller_pid 2>/dev/null; }
sealed='{"state":"sealed","kernel":"Linux version 6.12"}'
$they mkdir -m 700 "$theirs/vm"; $they touch "$theirs/vm/lock"
tell $uid "$theirs/vm/control.sock" "$sealed"
try paths-status-of-theirs 0 "vm is of user $uid: all that it says is that user's word" "$rf" status "$theirs/vm"
untell
tell 0 "$theirs/vm/control.sock" "$sealed"
try paths-status-not-its-owners 4 "what listens in $theirs/vm is not its owner's" "$rf" status "$theirs/vm"
untell; rm "$theirs/vm/control.sock"
mkdir -m 700 "$ours/asked"; touch "$ours/asked/lock"
tell 0 "$ours/asked/control.sock" "$sealed"
try paths-status-of-ours 0 '^state *sealed' "$rf" status "$ours/asked"
name=paths-status-of-ours-not-said; ! grep -q 'is of user' "$err" && ok || bad "its owner is taken for another user"
# A link of theirs that leads to a VM of root's, and a folder of root's that they have moved.
$they ln -s "$ours/asked" "$theirs/link"
try paths-status-by-their-link 3 'a symbolic link that somebody else' "$rf" status "$theirs/link"
ln -s asked "$ours/link"
try paths-status-by-our-link 0 '^state *sealed' "$rf" status "$ours/link"
untell
mkdir -m 700 "$theirs/moved"; touch "$theirs/moved/lock"
try paths-status-moved 3 "the folder above it is another user's, and it is not" "$rf" status "$theirs/moved"

# The log that their vm.json names: theirs, or root's.
denied='{"time":"2024-05-01T10:00:00.1Z","type":"decision","event":1,"kind":"write","verdict":"blocked","rule":"%s"}\n'
printf "$denied" of-root >"$work/ways/root.jsonl"; printf "$denied" of-them >"$work/ways/them.jsonl"
$they cp "$work/ways/them.jsonl" "$theirs/vm/audit.jsonl"
named() { printf '{"name":"vm","audit":"%s","started":1,"policy":{}}' "$1" >"$work/ways/vm.json"; $they cp "$work/ways/vm.json" "$theirs/vm/vm.json"; }
named "$work/ways/root.jsonl"
for c in 'audit tail' 'audit verify' 'audit export --format ecs' 'policy test default'; do
	try "paths-log-they-name-$(echo $c | tr ' ' -)" 3 "names a log that is not that user's" "$rf" $c "$theirs/vm"
done
tell $uid "$theirs/vm/control.sock" "$sealed"
name=paths-denial-of-another-log; "$rf" status "$theirs/vm" >"$out" 2>"$err"; ! grep -q of-root "$out" && grep -q '^last denial *-$' "$out" && ok || bad "it is shown as theirs"
named "$theirs/vm/audit.jsonl"
name=paths-denial-of-their-log; "$rf" status "$theirs/vm" >"$out" 2>"$err"; grep -q '^last denial .*of-them$' "$out" && ok || bad "it is not shown"
untell; rm -f "$theirs/vm/control.sock"
try paths-tail-their-log 0 'of-them' "$rf" audit tail "$theirs/vm"
# A VM that has ended, and their links: none leads to a log of root's, by whichever of the commands. Beside each their own.
reads() { # NAME CODE TEXT LOG: by each command; what root's log says never is printed
	for c in 'audit tail' 'audit verify' 'audit export --format ecs' 'policy test default' 'policy explain default'; do
		try "$1-$(echo $c | tr ' ' -)" "$2" "$3" "$rf" $c "$4"
		grep -q of-root "$out" && bad "root's log is shown"
	done
}
their_log() { "$rf" audit tail "$1" >"$out" 2>"$err" && grep -q of-them "$out" && grep -q "is of user $uid" "$err" && ok || bad "theirs is not shown, or not told to be theirs"; }
$they mkdir -m 755 "$theirs/ended"; $they ln -s "$work/ways/root.jsonl" "$theirs/ended/audit.jsonl"
reads paths-ended-their-link 3 'a symbolic link that somebody else' "$theirs/ended"
reads paths-file-their-link 3 'a symbolic link that somebody else' "$theirs/ended/audit.jsonl"
$they rm "$theirs/ended/audit.jsonl"; cp "$work/ways/root.jsonl" "$theirs/ended/audit.jsonl"
reads paths-ended-of-ours 3 "it is not of user $uid, as the folder is" "$theirs/ended"
rm "$theirs/ended/audit.jsonl"; $they cp "$work/ways/them.jsonl" "$theirs/ended/audit.jsonl"
name=paths-ended-control; their_log "$theirs/ended"
name=paths-file-control; their_log "$theirs/ended/audit.jsonl"
name=paths-running-control; their_log "$theirs/vm"
$they ln -s "$work/ways/root.jsonl" "$theirs/ended/audit.patches"
try paths-patches-their-link 3 'cannot read the patch log' "$rf" audit patches "$theirs/ended"
try paths-verify-patches-their-link 6 'the patch log .* is not read: .*a symbolic link that somebody else' "$rf" audit verify "$theirs/ended"
$they rm "$theirs/ended/audit.patches"; $they touch "$theirs/ended/audit.patches"
try paths-patches-control 0 "is of user $uid" "$rf" audit patches "$theirs/ended"
cp "$work/ways/root.jsonl" "$ours/asked/audit.jsonl"
reads paths-log-by-their-folder-link 3 'a symbolic link that somebody else' "$theirs/link"
try paths-rotate-by-their-link 3 'a symbolic link that somebody else' "$rf" audit rotate "$theirs/link"
try paths-log-by-our-folder-link 0 of-root "$rf" audit tail "$ours/link"
name=paths-log-by-our-folder-link-not-said; grep -q 'is of user' "$err" && bad "it is taken for another user's" || ok
$they ln -s "$work/ways/root.jsonl" "$sticky/by-them.jsonl"; $they cp "$work/ways/them.jsonl" "$sticky/them.jsonl"
try paths-file-their-link-sticky 3 'a symbolic link that somebody else' "$rf" audit tail "$sticky/by-them.jsonl"
name=paths-file-sticky; their_log "$sticky/them.jsonl"
ln -s "$work/ways/root.jsonl" "$ours/by-us.jsonl"
try paths-file-our-link 0 of-root "$rf" audit tail "$ours/by-us.jsonl"
# Copies of one's own are read where a group may write, as with a umask of 002.
mkdir -m 775 "$ours/copies"; chgrp 1234 "$ours/copies"; cp "$work/ways/root.jsonl" "$ours/copies/"
try paths-file-group 0 of-root "$rf" audit tail "$ours/copies/root.jsonl"
# While it is followed the name goes to a link, or to another file of theirs.
follows() { # WORD COMMAND: once the word is shown they do that
	timeout 60 "$rf" audit tail -f "$theirs/ended" >"$out" 2>"$err" & following=$!
	for _ in $(seq 100); do grep -q "$1" "$out" && break; sleep 0.1; done
	$they sh -c "$2"; for _ in $(seq 20); do kill -0 $following 2>/dev/null || break; sleep 0.1; done
	kill $following 2>/dev/null; wait $following 2>/dev/null
}
name=paths-followed-link; follows of-them "ln -s '$work/ways/root.jsonl' '$theirs/ended/new' && mv '$theirs/ended/new' '$theirs/ended/audit.jsonl'"
! grep -q of-root "$out" && grep -q of-them "$out" && ok || bad "it went after the link"
$they rm "$theirs/ended/audit.jsonl"; $they cp "$work/ways/them.jsonl" "$theirs/ended/audit.jsonl"
printf "$denied" of-them-next >"$work/ways/next.jsonl"
name=paths-followed-control; follows of-them "cp '$work/ways/next.jsonl' '$theirs/ended/new' && mv '$theirs/ended/new' '$theirs/ended/audit.jsonl'"
grep -q of-them-next "$out" && ok || bad "it does not go on"
# A VM of root's whose log is in a sticky folder. When it is rotated its name is free for a moment, and another user takes it.
mkdir -m 700 "$ours/rooted"; touch "$ours/rooted/lock"; cp "$work/ways/root.jsonl" "$sticky/rooted.jsonl"
printf '{"name":"rooted","audit":"%s","started":1,"policy":{}}' "$sticky/rooted.jsonl" >"$ours/rooted/vm.json"
rooted() { # NAME CODE TEXT: by each command
	for c in 'audit tail' 'audit verify' 'audit export --format ecs' 'policy test default' 'policy explain default'; do
		try "$1-$(echo $c | tr ' ' -)" "$2" "$3" "$rf" $c "$ours/rooted"
		grep -q of-them "$out" && bad "another user's lines are shown as root's"
	done
}
denial() { name=$1; "$rf" status "$ours/rooted" >"$out" 2>"$err"; grep -q "^last denial .*$2\$" "$out" && ok || bad "it is not $2"; }
tell 0 "$ours/rooted/control.sock" "$sealed"
denial paths-name-taken-denial-control of-root
mv "$sticky/rooted.jsonl" "$sticky/rooted.jsonl.1"; $they cp "$work/ways/them.jsonl" "$sticky/rooted.jsonl"
rooted paths-name-taken 3 "rooted.jsonl: user $uid's, mode 0644: it is another user's"
denial paths-name-taken-denial -
name=paths-name-taken-by-its-path; their_log "$sticky/rooted.jsonl"
$they rm "$sticky/rooted.jsonl"; $they cp "$work/ways/them.jsonl" "$sticky/of-them"; $they ln -s "$sticky/of-them" "$sticky/rooted.jsonl"
rooted paths-name-taken-by-link 3 'a symbolic link that somebody else'
denial paths-name-taken-by-link-denial -
rm "$sticky/rooted.jsonl"; cp "$work/ways/root.jsonl" "$sticky/rooted.jsonl"
try paths-name-taken-control 0 of-root "$rf" audit tail "$ours/rooted"
name=paths-name-taken-control-not-said; grep -q "user $uid" "$err" && bad "it is taken for another user's" || ok
untell
# The same while it is followed: it stays with its own file, and goes on when the name is root's again.
name=paths-followed-name-taken; timeout 60 "$rf" audit tail -f "$ours/rooted" >"$out" 2>"$err" & following=$!
shows() { for _ in $(seq 100); do grep -q "$1" "$2" && return 0; sleep 0.1; done; return 1; }
shows of-root "$out"; mv "$sticky/rooted.jsonl" "$sticky/rooted.jsonl.1"; $they cp "$work/ways/them.jsonl" "$sticky/rooted.jsonl"
shows "rooted.jsonl: user $uid's" "$err" && ! grep -q of-them "$out" && ok || bad "it went over, or did not say so"
$they rm "$sticky/rooted.jsonl"; $they ln -s "$sticky/of-them" "$sticky/rooted.jsonl"; sleep 1
name=paths-followed-name-taken-by-link; kill -0 $following 2>/dev/null && ! grep -q of-them "$out" && ok || bad "it ended, or went over"
rm "$sticky/rooted.jsonl"; printf "$denied" of-root-next >"$sticky/rooted.jsonl"
name=paths-followed-name-taken-control; shows of-root-next "$out" && [ "$(grep -c 'is not gone on with' "$err")" = 1 ] && ok || bad "it does not go on, or told it again"
kill $following; wait $following; code=$?; name=paths-followed-name-taken-ended; [ $code = 0 ] && ok || bad "exit code $code"
# What another user has put beside it is not its patch log.
"$python" -c 'import struct, sys
open(sys.argv[1], "wb").write(struct.pack("<QQQII", 0x1234, 0xffffffff81000000, 1, 1, 0x44484c50) +
    struct.pack("<QIHBB6s6sI", 10**18, 0x1000, 0, 1, 5, b"\x0f\x1f\x44\0\0\0", b"\xe8\1\2\3\4\0", 0x4e4c4c50))' "$work/ways/patches"
try paths-beside-none 6 'result: cannot tell' "$rf" audit verify "$ours/rooted"; cp "$out" "$work/ways/none"
$they cp "$work/ways/patches" "$sticky/rooted.patches"
for way in file link; do
	try "paths-patches-beside-their-$way" 3 "cannot read the patch log .*rooted.patches: .*user $uid's" "$rf" audit patches "$ours/rooted"
	grep -q e801020304 "$out" && bad "it is shown as root's"
	try "paths-verify-beside-their-$way" 6 "rooted.patches is not read: .*user $uid's" "$rf" audit verify "$ours/rooted"
	cmp -s "$out" "$work/ways/none" || bad "it is not as none"
	$they rm "$sticky/rooted.patches"; $they ln -s /nowhere "$sticky/rooted.patches"
done
rm "$sticky/rooted.patches"; $they cp "$work/ways/patches" "$sticky/alone.patches"
try paths-patches-by-their-path 0 e801020304 "$rf" audit patches "$sticky/alone.patches"
name=paths-patches-by-their-path-said; grep -q "is of user $uid" "$err" && ok || bad "nobody is told whose it is"
cp "$work/ways/patches" "$sticky/rooted.patches"
try paths-patches-beside-control 0 e801020304 "$rf" audit patches "$ours/rooted"
try paths-verify-beside-control 6 '' "$rf" audit verify "$ours/rooted"
name=paths-verify-beside-control-read; cmp -s "$out" "$work/ways/none" && bad "root's own is not looked at" || ok
rm -r "$ours/rooted" "$sticky"/rooted.* "$sticky/alone.patches" "$sticky/of-them"
# Where the place of one's VMs cannot be entered a file by that name is read when it is given as one.
mkdir -m 700 "$ours/closed"; $they cp "$work/ways/them.jsonl" "$theirs/here.jsonl"
here_by() { try "$1" "$2" "$3" $they sh -c "cd '$theirs' && $4 '$rf' audit tail $5"; }
here_by paths-name-closed 3 'of a file here ./NAME' "XDG_RUNTIME_DIR='$ours/closed'" here.jsonl
here_by paths-name-closed-given 0 of-them "XDG_RUNTIME_DIR='$ours/closed'" ./here.jsonl
here_by paths-name-closed-control 0 of-them '' here.jsonl
rm -r "$ours/closed" "$theirs/here.jsonl"
# The place of a user without a login, taken by another one: nothing there is this user's log. Nor is a file of that name read
# in its stead, unless it is given as one.
tails() { try "$1" "$2" "$3" $they sh -c "cd '$theirs' && '$rf' audit tail $4"; }
$they cp "$work/ways/them.jsonl" "$theirs/web"
tails paths-no-login-file-here 0 of-them web
$others mkdir -m 755 "$base"; $others mkdir -m 755 "$base/web"; $others cp "$work/ways/root.jsonl" "$base/web/audit.jsonl"
tails paths-no-login-log-of-another 3 "user $third has something in the place of it" web
grep -q of- "$out" && bad "another user's log is shown"
$others touch "$base/web/lock"
tails paths-no-login-vm-of-another 3 "user $third has something in the place of it" web
grep -q of- "$out" && bad "another VM's log is shown"
tails paths-no-login-file-given 0 of-them ./web
rm -r "$base"; $they mkdir -m 700 "$base"; $they mkdir "$base/web"; $they cp "$work/ways/root.jsonl" "$base/web/audit.jsonl"
tails paths-no-login-control 0 of-root web
name=paths-no-login-control-not-said; grep -q 'is of user' "$err" && bad "it is taken for another user's" || ok
rm -r "$base" "$theirs/web"
# Neither is a FIFO waited for, nor a link followed.
rm "$theirs/vm/vm.json"; $they mkfifo "$theirs/vm/vm.json"
try paths-description-is-a-fifo 3 'is dead' "$rf" status "$theirs/vm"
rm "$theirs/vm/vm.json"; named "$theirs/vm/audit.jsonl"

# `stop` signals a process of the folder's owner, and nobody else's that has come to listen there.
tell 0 "$theirs/vm/reload.sock" '' $uid
name=paths-stop-of-another; timeout 20 "$rf" stop --wait 3 "$theirs/vm" >"$out" 2>"$err"; code=$?
[ $code = 4 ] && kill -0 $teller_pid 2>/dev/null && grep -q "not its owner's" "$err" && ok || bad "exit code $code"
untell; rm -f "$theirs/vm/reload.sock"
tell $uid "$theirs/vm/reload.sock" ''
name=paths-stop; timeout 20 "$rf" stop --wait 5 "$theirs/vm" >"$out" 2>"$err"; code=$?
[ $code = 0 ] && ! kill -0 $teller_pid 2>/dev/null && grep -q 'is of user' "$err" && ok || bad "exit code $code"
untell

# --- root's list ----------------------------------------------------------------------------------
$they mkdir -m 700 "$base" "$base/web"; $they touch "$base/web/lock"
tell $uid "$base/web/control.sock" "$sealed"
name=paths-list; "$rf" list >"$out" 2>"$err"; grep -qE "^web +sealed +$uid +0 " "$out" && ok || bad "another user's VM is not listed"
name=paths-list-json; "$rf" list --json >"$out" 2>"$err"
python3 -c 'import json, sys
rows = [r for r in json.load(open(sys.argv[1])) if r["uid"] == int(sys.argv[2])]
assert [(r["name"], r["user"], r["state"]) for r in rows] == [("web", sys.argv[2], "sealed")], rows' "$out" $uid 2>>"$err" && ok || bad "not as JSON"
name=paths-list-no-text; bad_name=$(printf '\377\033[8m'); $they mkdir "$base/$bad_name"; $they touch "$base/$bad_name/lock"
"$rf" list >"$out" 2>"$err"; grep -qE "^\?\?\[8m +dead +$uid " "$out" && grep -qE "^web +sealed +$uid " "$out" && "$rf" list --json >/dev/null 2>&1 && ok || bad "a folder with such a name hides others"
rm -r "$base/$bad_name"
name=paths-list-not-root; $others "$rf" list >"$out" 2>"$err"; code=$?; [ $code = 0 ] && ! grep -q '^web' "$out" && ok || bad "others than root are told, or code $code"
name=paths-list-ones-own; $they "$rf" list >"$out" 2>"$err"; grep -qE "^web +sealed +$uid " "$out" && ok || bad "one's own is not"
# Links of theirs, and names that are not theirs; another run of these tests may have such folders of its own.
$they ln -s "$ours/asked" "$base/linked$uid"; $they mkdir -m 755 "/tmp/ringfence-$third"; $they mkdir "/tmp/ringfence-$third/fake$third"; $they touch "/tmp/ringfence-$third/fake$third/lock"
name=paths-list-planted; "$rf" list >"$out" 2>"$err"; grep -qE "^web +sealed +$uid " "$out" && ! grep -qE "^(linked$uid|fake$third) " "$out" && ok || bad "what others have planted is listed"
rm -r "/tmp/ringfence-$third"; $others mkdir -m 755 "/tmp/ringfence-$third"; $others mkdir "/tmp/ringfence-$third/fake$third"; $others touch "/tmp/ringfence-$third/fake$third/lock"
name=paths-list-planted-control; "$rf" list >"$out" 2>"$err"; grep -qE "^fake$third +dead +$third " "$out" && ok || bad "the same of its owner is not listed"
untell
# Completion asks in the same place: in one that is this user's, and expands no name.
name=paths-completion; $they mkdir "$base/"'$(touch ran)'; mkdir "$work/ways/tab"
cp "$here/../../completions/ringfence.bash" "$work/ways/completion"
complete() { (cd "$work/ways/tab" && $they HOME=/ bash -c '. "$1"; COMP_WORDS=(ringfence status w); COMP_CWORD=2; _ringfence; echo "${COMPREPLY[@]}"' bash "$work/ways/completion") >"$out" 2>"$err"; }
chmod 777 "$work/ways/tab"; complete; grep -qw web "$out" && [ ! -e "$work/ways/tab/ran" ] && ok || bad "not its name, or another one was expanded"
chown -h $third "$base"; name=paths-completion-theirs; complete; ! grep -qw web "$out" && ok || bad "another user's folder is looked into"
chown -h $uid "$base"; rm -r "$base/"'$(touch ran)'
# Monitors that take their time are not waited for one by one.
for n in 1 2 3 4 5 6 7 8; do
	$they mkdir "$base/slow$n"; $they touch "$base/slow$n/lock"
	$they "$python" -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); time.sleep(60)' "$base/slow$n/control.sock" & slow="${slow:-} $!"
done
sleep 1; began=$(date +%s)
name=paths-list-slow; timeout 60 "$rf" list >"$out" 2>"$err"; took=$(($(date +%s) - began))
[ $took -lt 10 ] && [ "$(grep -c '^slow' "$out")" = 8 ] && ok || bad "it took $took s"
kill $slow; wait $slow 2>/dev/null
for n in 1 2 3 4 5 6 7 8; do rm -r "$base/slow$n"; done
# Nor for what comes with an answer and lasts as long as its sender likes.
lists_it() { # NAME SECONDS STATE
	name=$1; rm -rf "$base/lingers"; $they mkdir "$base/lingers"
	$they "$python" - "$base/lingers" "$2" <"$here/lingering.py" & slow=$!
	sleep 1; began=$(date +%s); timeout 60 "$rf" list >"$out" 2>"$err"; took=$(($(date +%s) - began))
	[ $took -lt 10 ] && grep -qE "^lingers +$3 " "$out" && ok || bad "it took $took s"
	# The control: who receives it himself waits, once its sender has let go of it.
	timeout 5 "$python" -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.send(b"x"); time.sleep(2); s.recv(100)' "$base/lingers/control.sock"; waits=$?
	[ "$2" = 0 ] || { name=$name-control; [ $waits = 124 ] && ok || bad "nobody waits for it: $waits"; }
	kill $slow; wait $slow 2>/dev/null
}
reloads_it() { # NAME SECONDS
	name=$1; rm -rf "$base/lingers"; $they mkdir "$base/lingers"
	$they "$python" - "$base/lingers" "$2" reload <"$here/lingering.py" & slow=$!
	sleep 1; began=$(date +%s); timeout 60 "$rf" policy reload "$base/lingers" strict >"$out" 2>"$err"; code=$? took=$(($(date +%s) - began))
	[ $took -lt 10 ] && [ $code != 0 ] && ok || bad "code $code, it took $took s"
	timeout 5 "$python" -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect(sys.argv[1]); s.send(b"x"); time.sleep(2); s.recv(100)' "$base/lingers/reload.sock"; waits=$?
	[ "$2" = 0 ] || { name=$name-control; [ $waits = 124 ] && ok || bad "nobody waits for it: $waits"; }
	kill $slow; wait $slow 2>/dev/null
}
reloads_it paths-reload-answers 0; reloads_it paths-reload-lingers 40
lists_it paths-list-answers 0 sealed; lists_it paths-list-lingers 40 '(sealed|monitor lost)'
forget
