# SPDX-License-Identifier: LGPL-2.1-or-later
# Part of run.sh: another policy for a running VM. Its monitor is the real one, its VMM makes a VM and waits.

printf 'version: 1\n' >"$work/first.yaml"
printf 'version: 1\non_denied: kill\n' >"$work/tighter.yaml"
printf 'version: 1\non_denied: kill\non_mismatch: alert\n' >"$work/looser.yaml"
printf 'version: 1\npin: { msrs: false }\n' >"$work/fixed.yaml"
for key in owner stranger; do "$rf" audit keygen "$work/$key" >/dev/null; done
reload="$rf policy reload $work/state"
sign() { "$rf" policy sign --key "$@" >"$out" 2>"$err"; } # KEY NAME FILE

# --- what needs no VM -------------------------------------------------------------------------------------
try reload-nobody 3 'no VM nobody' "$rf" policy reload nobody "$work/tighter.yaml"
try reload-operands 2 'takes a VM.s name and a policy' "$rf" policy reload web
try sign-no-key 2 'needs a key' "$rf" policy sign web "$work/tighter.yaml"
try sign-no-name 2 'cannot be a VM.s name' "$rf" policy sign --key "$work/owner" a/b "$work/tighter.yaml"
try sign-profile 2 'strict is a profile' "$rf" policy sign --key "$work/owner" web strict
try sign-public-key 1 'not a secret key' "$rf" policy sign --key "$work/owner.pub" web "$work/tighter.yaml"
try sign-key-missing 3 'none: No such file' "$rf" policy sign --key "$work/none" web "$work/tighter.yaml"
try sign-bad-policy 1 'did you mean "mode"' "$rf" policy sign --key "$work/owner" web "$work/bad.yaml"
try sign-unknown-check 1 'pause.yaml:2:1: checks_pause: "creds-share": there is no check of that name' \
	"$rf" policy sign --key "$work/owner" web "$work/pause.yaml"
try sign-long-life 2 'needs a number from 1 to 2678400' "$rf" policy sign --key "$work/owner" --valid-for 2678401 web "$work/tighter.yaml"
try sign-options-of-another-verb 2 'are for .policy sign.' "$rf" policy check --serial 3 "$work/tighter.yaml"
name=sign-wrote-nothing; [ ! -e "$work/tighter.yaml.sig" ] && ok || bad "a signature by no key"
try sign-a-file 0 'looser.yaml.sig: for VM web, serial 7, until 2' "$rf" policy sign --key "$work/owner" --serial 7 web "$work/looser.yaml"
name=sign-note; sed -n 1p "$work/looser.yaml.sig" | grep -qx ringfence/policy/web && sed -n 4p "$work/looser.yaml.sig" |
	grep -qx "$(sha256sum <"$work/looser.yaml" | cut -d' ' -f1)" && ok || bad "another note than the manual's"
try run-policy-key-missing 125 'policy key .*none.pub: No such file' $run --policy-key "$work/none.pub" -- "$work/bin/vmm" 0
try run-policy-key-secret 125 'policy key .*not a public key' $run --policy-key "$work/owner" -- "$work/bin/vmm" 0
try run-policy-key-signs-the-log 125 'cannot be the one of --policy-key' $run --policy-key "$work/owner.pub" --audit-key "$work/owner" \
	-- "$work/bin/vmm" 0

# Which of a key's values is the stricter: the manual's table is the program's.
name=reload-keys-in-the-manual
"$rf" policy keys --json | python3 -c 'import json, sys
for key in json.load(sys.stdin): print(key["key"] + "|" + key["stricter"])' >"$work/keys"
sed -n '/^\[\[ \*changes of\*/,/^$/p' "$docs/ringfence.1.scd" |
	awk '/^\|  / { row = substr($0, 4); next } /^:  / { print row "|" substr($0, 4) }' >"$work/rows"
diff "$work/keys" "$work/rows" >"$out" && [ "$(wc -l <"$work/keys")" -ge 30 ] && ok || bad "another table than the manual's"

[ -n "$have_kvm" ] || return 0

# --- a VM that runs -----------------------------------------------------------------------------------------
: >"$work/reload.jsonl"
start() { # OPTIONS...: $first is its run
	"$build/ringfence" run --name web --state "$work/state" --audit "$work/reload.jsonl" --policy "$work/first.yaml" "$@" \
		>"$work/run.out" 2>&1 & first=$!
	monitor_of $first >/dev/null
}
stop() { kill -TERM $first; wait $first 2>/dev/null; }
now() { "$rf" policy show --json "$work/state" | python3 -c 'import json, sys
print({k["key"]: k["value"] for k in json.load(sys.stdin)["keys"]}[sys.argv[1]])' "$1"; }
recorded() { # NAME TEXT: the log's last line about a policy
	name=$1; grep '"kind":"policy"' "$work/reload.jsonl" | tail -1 >"$out"; grep -q -e "$2" "$out" && ok || bad "no $2"
}
keeps() { name=$1; [ "$(now "$2")" = "$3" ] && ok || bad "$2 is $(now "$2"), not $3"; }
reloads() { # NAME CODE TEXT FILE
	name=$1; timeout 30 $reload "$4" >"$out" 2>"$err"; code=$?
	[ $code = "$2" ] && grep -q -e "$3" "$out" "$err" && ok || bad "exit code $code, or no $3"
}
rm -f "$work"/*.sig
start -- "$work/kvm" 60
monitor=$(monitor_of $first) sweeper=$(sweeper_of $first)
name=reload-socket; [ "$(stat -c %a "$work/state/reload.sock")" = 600 ] && ok || bad "others may ask"
reloads reload-looser 1 'without --policy-key: on_mismatch: refuse -> alert$' "$work/looser.yaml"
recorded reload-looser-on-record '"outcome":"refused".*on_mismatch: refuse -> alert'
keeps reload-looser-changes-nothing on_denied fault
name=reload-refused-same-monitor; [ "$(monitor_of $first)" = "$monitor" ] && ok || bad "another monitor, for nothing"
reloads reload-fixed 1 'never loosened, while the VM runs: pin.msrs: true -> false$' "$work/fixed.yaml"
reloads reload-bad 1 'bad.yaml:2:1: there is no such key' "$work/bad.yaml"
reloads reload-unknown-check 1 'pause.yaml:2:1: checks_pause: "creds-share": there is no check of that name' "$work/pause.yaml"
reloads reload-missing 3 'none.yaml: No such file' "$work/none.yaml"
reloads reload-profile 1 'mode: enforce -> observe' observe
reloads reload-tighter 0 'tighter.yaml is in force: 1 key changed$' "$work/tighter.yaml"
keeps reload-in-force on_denied kill
name=reload-other-processes; [ "$(monitor_of $first)" != "$monitor" ] && [ "$(sweeper_of $first)" != "$sweeper" ] && ok ||
	bad "who judged by the old policy lives on"
sum=$(sha256sum <"$work/tighter.yaml" | cut -d' ' -f1)
recorded reload-on-record "\"outcome\":\"in force\".*\"sha256\":\"$sum\""
name=reload-taken-on-record
grep -q "\"outcome\":\"taken\".*unsigned; in force until then: $(sha256sum <"$work/first.yaml" | cut -d' ' -f1); on_denied: fault -> kill\",\"sha256\":\"$sum\"" \
	"$work/reload.jsonl" && ok || bad "no line with both digests"
name=reload-show; "$rf" policy show "$work/state" >"$out" 2>"$err"
grep -q "^policy  $work/tighter.yaml\$" "$out" && grep -q "^sha256  $sum\$" "$out" && grep -qE '^since   2[-0-9]*T[0-9:]*Z, reload 1, unsigned$' "$out" &&
	grep -q '^on_denied  *kill *file, line 2$' "$out" && ok || bad "not what is in force, or since when"
json reload-status 0 'o["reloads"] == {"count": 1, "serial": 0, "key": False, "sha256": o["policy_from"]["sha256"]} and o["uptime_s"] >= 1' \
	"$rf" status --json "$work/state"
# No way back by the monitor's death.
kill -KILL "$(monitor_of $first)"; sleep 1
keeps reload-outlives-a-monitor on_denied kill
reloads reload-back 1 'on_denied: kill -> fault' "$work/first.yaml"
# One that dies over it: asked it is, and nobody knows whether it has written it down.
printf 'version: 1\non_denied: kill\ndma_sweep_ms: 20\n' >"$work/more.yaml"
monitor=$(monitor_of $first); kill -STOP "$monitor"
$reload "$work/more.yaml" >"$out" 2>"$err" & asks=$!
sleep 1; kill -KILL "$monitor"; name=reload-monitor-dies; wait $asks
[ $? = 0 ] && grep -q 'more.yaml is in force' "$out" && ok || bad "the answer of one that dies"
keeps reload-monitor-died dma_sweep_ms 20
recorded reload-monitor-died-on-record '"outcome":"in force".*number 2 '
# One that hangs: who asks is told so in ten seconds, and what comes of it is no secret. Its death is taken for a yes.
printf 'version: 1\non_denied: kill\ndma_sweep_ms: 15\n' >"$work/hung.yaml"
monitor=$(monitor_of $first); kill -STOP "$monitor"
reloads reload-monitor-hangs 1 'the monitor has not answered yet; ask .ringfence policy show. later' "$work/hung.yaml"
kill -KILL "$monitor"; sleep 1
keeps reload-monitor-hung dma_sweep_ms 15
mv "$work/hung.yaml" "$work/more.yaml"
# Noise at the socket, and who says nothing.
name=reload-noise
python3 - "$work/state/reload.sock" >"$out" 2>"$err" <<'END'
import os, socket, struct, sys, time
def send(data):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect(sys.argv[1]); s.settimeout(5)
    if data: s.send(data)
    return s
head = lambda text, note, revision=1: struct.pack("<IIIII", 0x44524652, revision, 0, text, note) + b"x" * 4095 + b"\0"
for data in os.urandom(100), head(0, 0)[:-1] + b"x", head(70000, 0), head(5, 0), head(0, 2000) + b"n" * 2000, b"x" * 90000, head(0, 0, 2):
    print(send(data).recv(4096).decode())
text = b"version: 1\non_denied: kill\ndma_sweep_ms: 15\nchecks_kill: [ creds-share ]\n"
print(send(head(len(text), 0) + text).recv(4096).decode())
quiet = send(b""); began = time.time(); print(quiet.recv(10) == b"", 1 < time.time() - began < 5)
for _ in range(3): send(head(3, 0) + b"abc").close()
END
[ "$(grep -c '"accepted":false' "$out")" = 8 ] && grep -q 'line 4, column 1: checks_kill: ..creds-share..: there is no check of that name' "$out" && grep -q 'True True' "$out" && grep -q 'another release' "$out" && ok || bad "noise"
name=reload-unknown-check-on-record; grep '"kind":"policy"' "$work/reload.jsonl" | grep -q 'there is no check of that name' && ok || bad "not why"
sleep 0.5; reloads reload-after-noise 0 'in force: 0 keys changed' "$work/more.yaml"
name=reload-still-there; kill -0 $first && ok || bad "run has died of noise"
stop
name=reload-chain; "$rf" audit verify "$work/reload.jsonl" >"$out" 2>"$err" && ok || bad "the log is not intact"

# --- with a key ---------------------------------------------------------------------------------------------
start --policy-key "$work/owner.pub" -- "$work/kvm" 60
reloads reload-unsigned 1 'it is not signed: on_mismatch: refuse -> alert$' "$work/looser.yaml"
sign "$work/stranger" web "$work/looser.yaml"; reloads reload-strangers-key 1 'by another key than the VM was started with' "$work/looser.yaml"
sign "$work/owner" other "$work/looser.yaml"; reloads reload-for-another 1 'for another VM' "$work/looser.yaml"
sign "$work/owner" --valid-for 1 web "$work/looser.yaml"; sleep 2.1; reloads reload-too-old 1 'too old' "$work/looser.yaml"
sign "$work/owner" --serial 7 web "$work/tighter.yaml"; mv "$work/tighter.yaml.sig" "$work/looser.yaml.sig"
reloads reload-of-another-file 1 'of another file' "$work/looser.yaml"
head -c 2000 /dev/zero >"$work/looser.yaml.sig"; reloads reload-no-signature 1 'none of a policy' "$work/looser.yaml"
keeps reload-none-of-these on_mismatch refuse
sign "$work/owner" --serial 7 web "$work/looser.yaml"; reloads reload-signed 0 'is in force: 2 keys changed' "$work/looser.yaml"
keeps reload-loosened on_mismatch alert
name=reload-show-signed; "$rf" policy show "$work/state" >"$out" 2>"$err"
grep -qE '^since   .*, reload 1, signed with serial 7$' "$out" && ok || bad "not by which signature"
# Tightened again, and the same signature, or an older one, does not bring it back; to a monitor that has started since neither.
rm "$work/looser.yaml.sig"; cp "$work/tighter.yaml" "$work/again.yaml"; reloads reload-tightened 0 'in force' "$work/again.yaml"
kill -KILL "$(monitor_of $first)"; sleep 1
sign "$work/owner" --serial 7 web "$work/looser.yaml"; reloads reload-replayed 1 'serial is not greater' "$work/looser.yaml"
sign "$work/owner" --serial 6 web "$work/looser.yaml"; reloads reload-older 1 'serial is not greater' "$work/looser.yaml"
keeps reload-not-replayed on_mismatch refuse
sign "$work/owner" --serial 8 web "$work/looser.yaml"; reloads reload-next 0 'in force' "$work/looser.yaml"
sign "$work/owner" --serial 9 web "$work/fixed.yaml"; reloads reload-signed-fixed 1 'never loosened, while' "$work/fixed.yaml"
json reload-json 1 'not o["accepted"] and [(c["key"], c["from"], c["to"]) for c in o["changes"] if c["change"] == "never"] == [("pin.msrs", True, False)]' \
	$reload --json "$work/fixed.yaml"
# Without `run` there is nobody who would start the monitor that judges by it, nor a VM.
kill -KILL $first; wait $first 2>/dev/null; sleep 1
reloads reload-without-run 3 'is dead' "$work/tighter.yaml"
sleep 0.5; rm -rf "$work/state"
rm -f "$work"/*.sig
# Before there is a VM there is no log either.
"$build/ringfence" run --name web --state "$work/state" --audit "$work/reload.jsonl" --start-timeout 20 -- "$work/bin/vmm" 60 >"$work/run.out" 2>&1 & first=$!
monitor_of $first >/dev/null
reloads reload-too-early 1 'no monitor serves the VM' "$work/tighter.yaml"
stop
