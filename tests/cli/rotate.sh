# SPDX-License-Identifier: LGPL-2.1-or-later
# Part of run.sh: logs that go on in new files, with the real monitor.

try rotate-nobody 3 'there is no VM nobody' "$rf" audit rotate nobody
try rotate-no-name 2 'that of a VM' "$rf" audit rotate
try rotate-option-of-another-verb 2 'is for .rotate.' "$rf" audit tail --moved "$work/none"
mkdir -p "$work/foreign"; try rotate-foreign 3 'not the state folder of a VM' "$rf" audit rotate "$work/foreign"

if [ -z "$have_kvm" ]; then
	skip rotate "no VM can be made here"
else
logs=$work/logs; mkdir "$logs"
"$rf" audit keygen "$logs/key" >/dev/null
rotating="$build/ringfence run --name rotating --state $work/state --audit $logs/audit.jsonl --audit-key $logs/key"
last_type() { tail -1 "$1" | sed 's/.*"type":"\([a-z]*\)".*/\1/'; }
first_type() { head -1 "$1" | sed 's/.*"type":"\([a-z]*\)".*/\1/'; }
until_there() { for _ in $(seq 50); do [ -s "$1" ] && break; sleep 0.1; done; }

# Nobody tells `run` that this one's log was moved, and only later its patch log; looked at in the end.
mkdir "$work/away"; "$build/ringfence" run --state "$work/away-state" --audit "$work/away/audit.jsonl" -- "$work/kvm" 150 >"$work/away.out" 2>&1 & away=$!
for _ in $(seq 100); do grep -q 'under protection' "$work/away.out" && break; sleep 0.1; done
kill -9 "$(sweeper_of $away)"; sleep 1; mv "$work/away/audit.jsonl" "$work/away/audit.jsonl.1"; moved=$(date +%s)
# Nor does this one's monitor ever say that it went on.
mkdir "$work/mute"; FAKE=mute "$rf" run --state "$work/mute-state" --audit "$work/mute/audit.jsonl" -- "$work/bin/vmm" 40 >"$work/mute.out" 2>&1 & mute=$!

$rotating -- "$work/kvm" 50 >"$out" 2>"$logs/run.err" & first=$!
pid=$(monitor_of $first)
# By itself: the file gets a name with the time, and nothing is written over.
name=rotate; "$rf" audit rotate "$work/state" >"$out" 2>"$err"; code=$?
set -- "$logs"/audit-2*.jsonl
[ $code = 0 ] && [ $# = 1 ] && [ "$(last_type "$1")" = checkpoint ] && [ "$(first_type "$logs/audit.jsonl")" = continued ] &&
	grep -q "the log goes on in $logs/audit.jsonl; what was written until now is in $1" "$out" && ok || bad "not rotated: $*"
name=rotate-mode; [ "$(stat -c %a "$logs/audit.jsonl" "$logs/audit.patches" | tr '\n' ' ')" = '600 600 ' ] && ok || bad "others may read the new logs"
name=rotate-followed; timeout 5 "$rf" audit tail -f -n 0 "$logs/audit.jsonl" >"$out" 2>"$err" & tail=$!
sleep 1.2; "$rf" audit rotate "$work/state" >"$work/said"; wait $tail
grep -q ' rotated ' "$out" && grep -q ' continued ' "$out" && ok || bad "following loses lines when the log is rotated"
name=rotate-same-monitor; [ "$(monitor_of $first)" = "$pid" ] && ok || bad "another monitor"
# As logrotate does: moved, then told so, each log for itself.
name=rotate-moved; mv "$logs/audit.jsonl" "$logs/audit.jsonl.1"
"$rf" audit rotate "$work/state" >"$out" 2>"$err" && [ "$(last_type "$logs/audit.jsonl.1")" = checkpoint ] &&
	[ "$(first_type "$logs/audit.jsonl")" = continued ] && grep -q 'the log goes on in' "$out" && [ -e "$logs/audit.patches.1" ] && [ -e "$logs/audit.patches" ] && ok || bad "not followed"
name=rotate-only-moved; one=$(stat -c %i "$logs/audit.jsonl")
"$rf" audit rotate --moved "$work/state" >"$out" 2>"$err" && grep -q 'no log was moved' "$out" && [ "$(stat -c %i "$logs/audit.jsonl")" = "$one" ] &&
	ok || bad "it was moved"
name=rotate-patches-alone; mv "$logs/audit.patches" "$logs/elsewhere.patches"
"$rf" audit rotate --moved "$work/state" >"$out" 2>"$err"
[ $? = 1 ] && grep -q 'its patch log was moved, so move it as well' "$err" && [ ! -e "$logs/audit.patches" ] && ok || bad "one goes on without the other"
mv "$logs/elsewhere.patches" "$logs/audit.patches"
name=rotate-by-signal; mv "$logs/audit.jsonl" "$logs/audit.jsonl.2"; kill -HUP $first; until_there "$logs/audit.jsonl"
[ "$(first_type "$logs/audit.jsonl")" = continued ] && kill -0 $first 2>/dev/null && ok || bad "SIGHUP does something else"
# It cannot be made: the old one stays in use, and that is told to both.
name=rotate-fails; mv "$logs/audit.jsonl" "$logs/audit.jsonl.3"; mkdir "$logs/audit.jsonl"
"$rf" audit rotate "$work/state" >"$out" 2>"$err"; code=$?
[ $code = 1 ] && grep -q "cannot open $logs/audit.jsonl: Is a directory" "$err" && grep -q 'goes on in its old file: cannot open' "$logs/run.err" &&
	[ "$(last_type "$logs/audit.jsonl.3")" = continued ] && ok || bad "code $code"
name=rotate-fails-link; rmdir "$logs/audit.jsonl"; ln -s "$logs/elsewhere" "$logs/audit.jsonl"
"$rf" audit rotate "$work/state" >"$out" 2>"$err"; [ $? = 1 ] && [ ! -e "$logs/elsewhere" ] && ok || bad "a symbolic link is followed"
name=rotate-again; rm "$logs/audit.jsonl"
"$rf" audit rotate "$work/state" >"$out" 2>"$err" && [ "$(last_type "$logs/audit.jsonl.3")" = checkpoint ] && ok || bad "not once it can"
# A monitor that has been sent the new file and dies: the next one does it.
name=rotate-monitor-dies; mv "$logs/audit.jsonl" "$logs/audit.jsonl.9"; pid=$(monitor_of $first); kill -STOP "$pid"; kill -HUP $first
for _ in $(seq 50); do [ -e "$logs/audit.jsonl" ] && break; sleep 0.1; done
kill -9 "$pid"; until_there "$logs/audit.jsonl"
[ "$(first_type "$logs/audit.jsonl")" = continued ] && [ "$(last_type "$logs/audit.jsonl.9")" = checkpoint ] && ok || bad "it is not done"
"$rf" audit rotate "$work/state" >/dev/null 2>&1 # by now there is a monitor again
# Monitors that die right then: the next one goes on where the chain stands.
name=rotate-killed; n=3
for _ in 1 2 3 4; do
	n=$((n + 1)); mv "$logs/audit.jsonl" "$logs/audit.jsonl.$n"
	pid=$(monitor_of $first)
	"$rf" audit rotate "$work/state" >/dev/null 2>&1 & asking=$!
	[ $((n % 2)) = 0 ] || sleep 0.01
	kill -9 "$pid"; wait $asking
	# Only one that serves again does it.
	for _ in $(seq 50); do "$rf" audit rotate "$work/state" >"$out" 2>"$err" && break; sleep 0.2; done
done
[ -s "$logs/audit.jsonl" ] && ok || bad "no log any more"
kill -TERM $first; wait $first
parts="$(ls -tr "$logs"/audit*.jsonl*)"
name=rotate-verify; "$rf" audit verify --key "$logs/key.pub" $(for part in $parts; do echo "$(sed 's/.*"seq":\([0-9]*\).*/\1/;q' "$part") $part"; done | sort -n | cut -d' ' -f2) >"$out" 2>"$err"
[ $? = 0 ] && grep -q '^result: intact$' "$out" && ok || bad "not one chain"
name=rotate-verify-last; "$rf" audit verify --key "$logs/key.pub" "$logs/audit.jsonl" >"$out" 2>"$err"
[ $? = 7 ] && grep -q '1  *0x.*  1 to [0-9]*  *in an earlier file$' "$out" && grep -q '^result: open begin (as far as it goes' "$out" && ok ||
	bad "a later part alone"
name=rotate-verify-first; set -- "$logs"/audit-2*.jsonl; "$rf" audit verify "$1" >"$out" 2>"$err"
[ $? = 7 ] && grep -q 'goes on in a later file$' "$out" && ok || bad "a first part alone"

# Copied and truncated: told, at the next line, and the VM goes on. The counts at its end are such a line.
name=rotate-copytruncate; mkdir "$work/copied"
"$build/ringfence" run --state "$work/state" --audit "$work/copied/audit.jsonl" -- "$work/kvm" 5 >"$out" 2>"$err" & first=$!
pid=$(monitor_of $first); kill -9 "$(sweeper_of $first)"; sleep 1; cp "$work/copied/audit.jsonl" "$work/copied/copy"; : >"$work/copied/audit.jsonl"
kill -9 "$(sweeper_of $first)"; sleep 1.5; kill -9 "$pid"; wait $first; code=$?
[ $code = 0 ] && [ "$(first_type "$work/copied/audit.jsonl")" = gap ] && grep -q 'somebody has cut the audit log' "$err" && ok || bad "code $code"
name=rotate-copytruncate-verify; "$rf" audit verify "$work/copied/copy" "$work/copied/audit.jsonl" >"$out" 2>"$err"
[ $? = 0 ] && ok || bad "with its copy it is not whole"

# As logrotate does it, by the file that is installed.
if command -v logrotate >/dev/null; then
	mkdir -p "$work/var/rotating" "$work/base"
	sed "s|/var/log/ringfence|$work/var|g; s|ringfence audit rotate --moved [^|]*|$rf audit rotate --moved $work/state |" \
		"$here/../../packaging/logrotate/ringfence" >"$work/logrotate.conf"
	"$build/ringfence" run --state "$work/state" --audit "$work/var/rotating/audit.jsonl" -- "$work/kvm" 50 >"$out" 2>"$err" & first=$!
	pid=$(monitor_of $first); kill -9 "$(sweeper_of $first)"; sleep 1
	name=logrotate; chmod 644 "$work/logrotate.conf"; logrotate -f -s "$work/logrotate.state" "$work/logrotate.conf" >"$logs/out" 2>&1; code=$?
	[ $code = 0 ] && [ "$(last_type "$work/var/rotating/audit.jsonl.1")" = rotated ] && [ "$(first_type "$work/var/rotating/audit.jsonl")" = continued ] &&
		ok || bad "code $code: $(cat "$logs/out")"
	logrotate -f -s "$work/logrotate.state" "$work/logrotate.conf" >"$logs/out" 2>&1 || cat "$logs/out"
	kill -TERM $first; wait $first
	name=logrotate-ended; logrotate -f -s "$work/logrotate.state" "$work/logrotate.conf" >"$logs/out" 2>&1 && ok || bad "a VM that is gone: $(cat "$logs/out")"
	name=logrotate-verify
	"$rf" audit verify "$work/var/rotating/audit.jsonl.3" "$work/var/rotating/audit.jsonl.2" "$work/var/rotating/audit.jsonl.1" >"$out" 2>"$err" && ok ||
		bad "not one chain"
else
	skip logrotate "it is not installed"
fi
name=rotate-no-answer; wait $mute; code=$?
[ $code = 0 ] && grep -q 'the monitor does not answer, and is killed' "$work/mute.out" && grep -q 'another monitor' "$work/mute.out" && ok || bad "code $code: $(cat "$work/mute.out")"
name=rotate-nobody-asks; for _ in $(seq 300); do [ -e "$work/away/audit.jsonl" ] && break; sleep 1; done
[ "$(stat -c %Y "$work/away/audit.jsonl")" -ge $((moved + 55)) ] && [ -e "$work/away/audit.patches.1" ] && [ "$(last_type "$work/away/audit.jsonl.1")" = rotated ] &&
	[ "$(first_type "$work/away/audit.jsonl")" = continued ] && ok || bad "written on where it is, or too early: $(cat "$work/away.out")"
kill -TERM $away; wait $away
fi
