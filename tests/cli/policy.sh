# SPDX-License-Identifier: LGPL-2.1-or-later
# Part of run.sh: `ringfence policy`, the profiles, and what the documentation says of keys.
docs=$here/../../docs

# --- check ----------------------------------------------------------------------------------------
# `run` gets what `check` says, of the same file.
wrong() { # NAME FILE LINE COLUMN SENTENCE
	try "policy-check-$1" 1 "^$2:$3:$4: $5" "$rf" policy check "$2"
	try "policy-run-$1" 125 "policy $2, line $3, column $4: $5" $run --policy "$2" -- "$work/bin/vmm" 0
}
wrong key "$work/bad.yaml" 2 1 'there is no such key; did you mean "mode"? The keys there are: version, mode, on_denied, '
printf 'version: 1\nmode: observ\n' >"$work/word.yaml"
wrong word "$work/word.yaml" 2 7 'mode cannot be what stands there; did you mean "observe"? It may be: enforce, observe$'
printf 'version: 1\nlog_quota_mb: 1GB\n' >"$work/unit.yaml"
wrong number "$work/unit.yaml" 2 15 'log_quota_mb cannot be what stands there. It may be: 0 to 1048576 (MiB), digits alone$'
printf 'version: 1\npatches: { owners: [ "a b" ] }\n' >"$work/owner.yaml"
printf 'version: 1\nchecks_kill: [ creds-shared, idt ]\n' >"$work/guards.yaml"
wrong checks-of-guards "$work/guards.yaml" 2 1 'checks_kill: "idt": it is looked for by a guard, which .patches., .pin. and on_denied are for$'
printf 'version: 1\nchecks_off: [ creds-shared ]\nchecks_kill: [ creds-shared ]\n' >"$work/both.yaml"
wrong checks-off-and-kill "$work/both.yaml" 3 1 'checks_kill: "creds-shared": it is not run: checks_off names it too$'
printf 'version: 1\nchecks: off\nchecks_pause: [ creds-shared ]\n' >"$work/unchecked.yaml"
wrong checks-none-and-pause "$work/unchecked.yaml" 3 1 'checks_pause: "creds-shared": no check is run: checks is off$'
printf 'version: 1\nchecks_pause: [ creds-share ]\n' >"$work/pause.yaml"
wrong checks-pause "$work/pause.yaml" 2 1 'checks_pause: "creds-share": there is no check of that name'
printf 'version: 1\nchecks_off: [ idt, task-hidden ]\n' >"$work/off.yaml"
wrong checks-off "$work/off.yaml" 2 1 'checks_off: "task-hidden": there is no check of that name; .ringfence check --list. has them$'
wrong owner "$work/owner.yaml" 2 12 'owners: one of them is no name, which is made of letters, digits, "_" and "-"$'
wrong range "$work/range.yaml" 3 1 'dma_sweep_ms is not within 10 to 3600000 (milliseconds)$'
wrong together "$work/nopins.yaml" 2 24 'control_watch is required, but control is not pinned$'
printf 'version: 1\npin:\n\tmsrs: true\n' >"$work/tab.yaml"
wrong tab "$work/tab.yaml" 3 1 'found .*'
try policy-check-missing 3 'none.yaml: No such file' "$rf" policy check "$work/none.yaml"
try policy-check-folder 3 'not a regular file' "$rf" policy check "$work/empty"
try policy-check-large 3 'too large' "$rf" policy check "$work/big.yaml"
try policy-check-nothing 2 'takes one file or more' "$rf" policy check
try policy-no-verb 2 'what to do' "$rf" policy
try policy-unknown-verb 2 'no .policy chekc' "$rf" policy chekc x
printf 'version: 1\non_denied: kill\n' >"$work/kill.yaml"
try policy-check-good 0 'kill.yaml: ok: mode enforce, on_denied kill; not as the default: 1 key$' "$rf" policy check "$work/kill.yaml"
try policy-show-unknown-check 1 'off.yaml:2:1: checks_off: "task-hidden": there is no check of that name' "$rf" policy show "$work/off.yaml"
# All of several are looked at, and the worst counts.
try policy-check-several 1 'kill.yaml: ok' "$rf" policy check "$work/bad.yaml" "$work/kill.yaml"
name=policy-check-all; grep -q 'bad.yaml:2:1' "$out" && ok || bad "one of several is not told of"
try policy-check-worst 3 'kill.yaml: ok' "$rf" policy check "$work/none.yaml" "$work/bad.yaml" "$work/kill.yaml"
json() { # NAME CODE PYTHON COMMAND...: the condition holds of its JSON, called o
	name=$1 want=$2 what=$3; shift 3
	"$@" >"$out" 2>"$err"; code=$?
	[ $code = "$want" ] && python3 -c "import json, sys; o = json.load(open(sys.argv[1])); assert ($what)" "$out" 2>>"$err" &&
		ok || bad "exit code $code, or not: $what"
}
json policy-check-json 1 '[f["ok"] for f in o] == [True, False] and o[0]["not_default"] == {"on_denied": "kill"} and
	(o[1]["line"], o[1]["column"]) == (2, 7) and "did you mean" in o[1]["error"]' \
	"$rf" policy check --json "$work/kill.yaml" "$work/word.yaml"

# --- keys, and the manual's ------------------------------------------------------------------------
json policy-keys-json 0 'len(o) >= 25 and all(k["what"] and ("words" in k or k["max"] >= k["min"]) for k in o)' \
	"$rf" policy keys --json
json policy-keys-json-list 0 '[(k["kind"], k["default"], k["max"]) for k in o if k["key"] == "patches.owners"] == [("list", [], 64)] and
	{k["kind"] for k in o} == {"word", "number", "list"}' "$rf" policy keys --json
name=policy-keys-in-the-manual
"$rf" policy keys | sed 1d | awk -F '   *' '{ print $1 "|" $2 "|" $3 }' >"$work/keys"
sed -n '/^\[\[ \*key\*/,/^$/p' "$docs/ringfence.1.scd" |
	awk '/^\|  / { row = substr($0, 4); next } /^:  / { row = row "|" substr($0, 4); if (++n % 2 == 0) print row }' >"$work/rows"
diff "$work/keys" "$work/rows" >"$out" && [ "$(wc -l <"$work/keys")" -ge 25 ] && ok || bad "the manual's keys are not the program's"
# The manual's file, and the profile that is there to be copied, have every key with its default.
sed -n '/^# POLICY$/,/^# /p' "$docs/ringfence.1.scd" | sed -n '/^```$/,/^```$/p' | sed '/^```/d' >"$work/manual.yaml"
for file in "$work/manual.yaml" default; do
	try "policy-is-the-default-$(basename "$file")" 0 'ok: .*the same as the default$' "$rf" policy check "$file"
	json "policy-has-every-key-$(basename "$file")" 0 'all(k["line"] for k in o["keys"])' "$rf" policy show --json "$file"
done
# Each key has its words in the manual: of its own, or where its section is described.
name=policy-keys-described; : >"$out"
sed -n '/^# POLICY$/,/^# /p' "$docs/ringfence.1.scd" | sed '/^```/,/^```/d' >"$work/section"
"$rf" policy keys | sed 1d | cut -d' ' -f1 | grep -v version | while read -r key; do
	grep -qE "_${key##*.}_" "$work/section" || echo "$key"
done >"$out"
[ ! -s "$out" ] && ok || bad "keys that the manual does not describe"

# --- profiles ---------------------------------------------------------------------------------------
changes() { # PROFILE CHANGES: as `policy check` shows them
	name=policy-profile-$1; "$rf" policy check "$1" 2>"$err" | sed -n 's/^  \([^ ]*\) *\([^ ]*\) .*/\1=\2/p' | tr '\n' ' ' >"$out"
	[ "$(cat "$out")" = "$2" ] && ok || bad "another difference than $2"
}
changes default ''
changes observe 'mode=observe on_kexec=rearm on_mismatch=alert on_unknown_kernel=run-unsealed-alert on_log_full=continue '
changes strict "patches.ftrace=deny patches.kprobes=deny patches.kgdb=deny pin.debugctl=true pin.control_watch=required \
register_check_ms=500 unsealed_alert_ms=120000 dma_sweep_ms=500 "
name=policy-profiles-shipped; ls "$here/../../policy/profiles" >"$out"
[ "$(tr '\n' ' ' <"$out")" = "default.yaml observe.yaml strict.yaml " ] && ok || bad "a profile that no test knows"
# A profile's name is the profile, wherever one stands; "./" makes it a file.
printf 'version: 1\nmode: observe\n' >"$work/empty/strict"
try policy-profile-not-the-file 0 '^policy *profile strict' sh -c "cd '$work/empty' && '$rf' policy show strict"
try policy-file-not-the-profile 0 "^policy *$work/empty/strict\$" sh -c "cd '$work/empty' && '$rf' policy show ./strict"
rm "$work/empty/strict"
try policy-no-such-profile 125 'a profile: default, observe, strict' $run --policy strcit -- "$work/bin/vmm" 0
try policy-installed-profile 0 'profile observe' env -i "$work/installed/bin/ringfence" policy show observe

# --- show -------------------------------------------------------------------------------------------
try policy-show 0 '^on_denied  *kill *file, line 2$' "$rf" policy show "$work/kill.yaml"
name=policy-show-default; grep -q '^mode  *enforce *default$' "$out" && ok || bad "no default"
name=policy-show-digest; grep -q "^sha256  $(sha256sum <"$work/kill.yaml" | cut -d' ' -f1)\$" "$out" && ok || bad "not the file's digest"
json policy-show-json 0 '{k["key"]: (k["value"], k["from"], k["line"]) for k in o["keys"]}["on_denied"] == ("kill", "file", 2)' \
	"$rf" policy show --json "$work/kill.yaml"
try policy-show-bad 1 'did you mean "mode"' "$rf" policy show "$work/bad.yaml"
try policy-show-nobody 3 'policy nobody: No such file' "$rf" policy show nobody
try policy-show-foreign 3 'not the state folder of a VM' "$rf" policy show "$work/foreign/"

if [ -n "$have_kvm" ]; then
	# strict starts nothing where no watch is to be had.
	if unshare -pf true 2>/dev/null; then
		try policy-strict-without-watch 125 'process-id namespace' env FAKE=attach \
			unshare -pf "$rf" run --state "$work/state" --policy strict -- "$work/bin/vmm" 0
	else
		skip policy-strict-without-watch "no process-id namespace may be made"
	fi
	# Of a running VM: what its monitor judges by, and where that came from.
	shows() { # NAME PATTERN
		name=$1; "$rf" policy show "$work/state" >"$out" 2>"$err"; grep -q "$2" "$out" && ok || bad "no $2"
	}
	cat "$work/kill.yaml" >"$work/then.yaml"
	$real --policy "$work/then.yaml" -- "$work/kvm" 50 >"$out" 2>"$err" & first=$!
	monitor_of $first >/dev/null
	echo '# another one now' >>"$work/then.yaml"
	shows policy-show-vm '^on_denied  *kill *file, line 2$'
	name=policy-show-vm-digest
	grep -q "^policy  $work/then.yaml\$" "$out" && grep -q "^sha256  $(sha256sum <"$work/kill.yaml" | cut -d' ' -f1)\$" "$out" &&
		ok || bad "not the file that it was started with"
	json policy-show-vm-json 0 'all(k["value"] is not None for k in o["keys"])' "$rf" policy show --json "$work/state"
	kill -TERM $first; wait $first
	$real --policy observe -- "$work/kvm" 50 >"$out" 2>"$err" & first=$!
	monitor_of $first >/dev/null
	shows policy-show-vm-profile '^mode  *observe *profile, line 11$'
	# What `list` and `status` say beyond the monitor: denials of this VM alone, the last one, and none that was allowed.
	for denial in 2001-01-01,of-an-earlier-vm,blocked 2099-01-01,msr-is-pinned,undone 2099-01-02,text-patch-legal,allowed \
		2099-01-03,dma-to-sealed-memory,detected; do
		IFS=, read -r day rule verdict <<-END
			$denial
		END
		echo "{\"time\":\"${day}T10:00:00.5Z\",\"type\":\"decision\",\"rule\":\"$rule\",\"verdict\":\"$verdict\"}"
	done >>"$work/audit.jsonl"
	denied='2099-01-01T10:00:00Z undone msr-is-pinned'
	name=status-about; "$rf" status "$work/state" >"$out" 2>"$err"
	grep -q '^policy  *profile observe$' "$out" && grep -q '^policy sha256 *[0-9a-f]\{64\}$' "$out" &&
		grep -q '^up  *00:00:[0-9][0-9]$' "$out" && grep -q "^last denial  *$denied\$" "$out" && ok || bad "policy, uptime, last denial"
	json status-about-json 0 'o["policy_from"]["name"] == "observe" and 0 <= o["uptime_s"] < 60 and
		o["last_denial"]["rule"] == "msr-is-pinned" and o["policy"]["mode"] == "observe"' "$rf" status --json "$work/state"
	name=list-about; "$rf" list --state-base "$work" >"$out" 2>"$err"
	grep -q "^vm-[0-9]* .* observe  00:00:[0-9][0-9]  profile observe  $denied  " "$out" && ok || bad "mode, uptime, policy, last denial"
	json list-about-json 0 '[v["last_denial"]["rule"] for v in o if v.get("mode") == "observe"] == ["msr-is-pinned"]' \
		"$rf" list --json --state-base "$work"
	kill -TERM $first; wait $first
	# A log without room for a line: `list` shows it, and `status` says what helps while the VM runs.
	printf 'version: 1\nlog_quota_mb: 1\non_log_full: continue\n' >"$work/goes-on.yaml"
	truncate -s 1048576 "$work/full.jsonl"
	"$build/ringfence" run --state "$work/state" --audit "$work/full.jsonl" --policy "$work/goes-on.yaml" -- \
		"$work/kvm" 50 >"$out" 2>"$err" & first=$!
	monitor_of $first >/dev/null
	# Something to write down: its sweeper dies.
	kill -KILL "$("$rf" status --json "$work/state" | python3 -c 'import json, sys; print(json.load(sys.stdin)["sweeper"]["pid"])')"
	name=list-log-full
	for _ in 1 2 3 4 5 6 7 8; do
		"$rf" list --state-base "$work" >"$out" 2>"$err"; grep -q ', log full  ' "$out" && break; sleep 0.5
	done
	grep -q ', log full  ' "$out" && ok || bad "a full log is not shown"
	json list-log-full-json 0 '[v["log"]["state"] for v in o if v.get("log")] == ["full"]' "$rf" list --json --state-base "$work"
	name=status-log-full; "$rf" status "$work/state" >"$out" 2>"$err"
	grep -q '^log  *FULL since .*(log_quota_mb)' "$out" && grep -q '^to do .*: ringfence audit rotate NAME' "$out" && ok || bad "no remedy"
	name=status-log-full-remedy; "$rf" audit rotate "$work/state" >"$out" 2>"$err" && sleep 1.5 && "$rf" status "$work/state" >"$out" 2>"$err"
	grep -q '^log  *ok' "$out" && grep -q '"type":"unwritten"' "$work/full.jsonl" && ok || bad "the remedy does not help"
	kill -TERM $first; wait $first
	$real -- "$work/kvm" 50 >"$out" 2>"$err" & first=$!
	monitor_of $first >/dev/null
	shows policy-show-vm-none '^policy  none: every key is at its default$'
	name=status-no-policy; "$rf" status "$work/state" >"$out" 2>"$err"
	grep -q '^policy  *none$' "$out" && ! grep -q '^policy sha256' "$out" && ok || bad "a policy where none was given"
	kill -TERM $first; wait $first
fi

# --- the guide: what it shows is what is printed --------------------------------------------------------
try policy-guide 0 '^20 commands$' python3 "$here/examples.py" "$docs/policy.md" "$rf"

# What its table says to write, all of it in one file.
name=policy-guide-table
python3 - "$docs/policy.md" >"$work/table.yaml" <<'END'
import re, sys
print("version: 1")
sections = {}
for write in re.findall(r"^\| [^|]* \| ([^|]*: [^|]*) \|$", open(sys.argv[1]).read(), re.M):
    below = re.search(r"below `(\w+)`", write)
    sections.setdefault(below[1] if below else "", []).extend(re.findall(r"`(\w+: [\w-]+)`", write))
for section, lines in sorted(sections.items()):
    print("\n".join([section + ":"] * bool(section) + ["  " * bool(section) + line for line in lines]))
END
"$rf" policy check "$work/table.yaml" >"$out" 2>"$err"; grep -q 'not as the default: 14 keys$' "$out" && ok || bad "$(cat "$work/table.yaml")"

# --- explain, test ------------------------------------------------------------------------------------
judged=$work/judged.jsonl
cat >"$judged" <<'END'
{"type":"decision","event":1,"kind":"write","region":"rodata","target":{"symbol":"sys_call_table","offset":"0x190"},"writer":{"symbol":"attack\u001b","module":"evil"},"len":8,"rule":"rodata-is-never-written","verdict":"detected","outcome":"applied","answer":{"verdict":"allow"}}
{"type":"outcome","event":1,"status":"ok"}
not a record
{"type":"decision","kind":"patches","region":"text","rule":"text-patch-legal","verdict":"allowed","detail":"jump_label 3, ftrace 12"}
{"type":"decision","event":2,"kind":"table","target":{"addr":"0x1"},"rule":"table-is-foreign","verdict":"blocked","answer":{"verdict":"deny"}}
{"type":"decision","event":3,"kind":"write","rule":"of-tomorrow","verdict":"blocked"}
END
explain="$rf policy explain"
try explain-line 0 '^so  *by profile strict it would be blocked, as nothing writes read-only data' $explain --line 1 strict "$judged"
name=explain-depends; grep -q '^depends on mode: enforce (line [0-9]*), on_denied: fault (line [0-9]*), seal.rodata: true (default)$' "$out" &&
	ok || bad "the keys that decide are not named"
name=explain-was; grep -q '^it was  *detected, let be$' "$out" && grep -q 'by attack? \[evil\]' "$out" && ok || bad "what is on record"
name=explain-input; head -1 "$judged" | $explain default >"$out" 2>"$err"; [ $? = 0 ] && grep -q '^so .*blocked' "$out" && ok || bad "standard input"
try explain-last 0 '^not known *what profile default would decide: this release has no such rule' $explain default "$judged"
try explain-outcome 0 'no rule decides it: it says what became' $explain -l 2 default "$judged"
# Lines that are no decision say what they are; of several lines the last decision is meant.
cat >"$work/lines.jsonl" <<'END'
{"type":"decision","kind":"hook","handler":{"module":"foo"},"detail":"kprobe; foo","rule":"handler-outside-image","verdict":"detected"}
{"type":"folded","instance":"0x1","number":1,"kind":"write","rule":"rodata-is-never-written","verdict":"blocked","count":42}
{"type":"folded","instance":"0x1","number":1,"kind":"write","rule":"rodata-is-never-written","verdict":"blocked","count":42}
{"type":"folded","instance":"0x2","number":1,"kind":"dma","rule":"dma-to-sealed-memory","verdict":"detected","count":8}
{"type":"unwritten","number":2,"cause":"log_quota_mb","decisions":7,"rules":{}}
{"type":"gap","from":3,"to":9}
{"type":"checkpoint","tree_size":5}
{"type":"end"}
END
try explain-decision 0 '^record  *hook' $explain default "$work/lines.jsonl"
n=1
for says in 'counts 42 decisions that say the same' 'counts 42 ' 'counts 8 ' 'and that 7 decisions were counted only' \
	'says that the lines 3 to 9 are missing' 'is a signature of the lines before it' 'says that the VM and its monitor ended'; do
	try "explain-line-type-$((n = n + 1))" 0 "no rule decides it: it .*$says" $explain --line $n default "$work/lines.jsonl"
done
# Where an owner lets it, that is the reason, and these are the keys.
printf 'version: 1\npatches: { owners: [ foo ] }\n' >"$work/foo.yaml"
try explain-owner 0 'would be allowed, as a hook of the kernel.s calls code of an owner$' $explain "$work/foo.yaml" "$work/lines.jsonl"
name=explain-owner-depends; grep -q '^depends on patches.kprobes: owners (default), patches.owners: 1 of them (line 2)$' "$out" && ok ||
	bad "not the keys that decide"
try policy-test-folded 0 '^50 decisions are on record as counts alone, and are not in this table$' "$rf" policy test default "$work/lines.jsonl"
json policy-test-folded-json 0 'o["counts_alone"] == 50 and o["decisions"] == 1' "$rf" policy test --json default "$work/lines.jsonl"
printf '{"type":"\\u001b[31m","verdict":"a"}\n' >"$work/odd.jsonl"
name=explain-control-character; $explain default "$work/odd.jsonl" >"$out" 2>"$err"
grep -q '^record  *?\[31m$' "$out" && ok || bad "a control character gets through"
printf '{"type":"decision","kind":"write","rule":"r","verdict":"%s\303\244"}\n' "$(printf '%030d' 0)" >"$work/odd.jsonl"
json explain-cut-letter 0 'len(o["was"]) == 31' $explain --json default "$work/odd.jsonl"
try explain-no-record 1 'line 3 of .* is no record' $explain -l 3 default "$judged"
try explain-no-line 1 'line 99 of .* is no record' $explain -l 99 default "$judged"
try explain-no-input 1 'standard input has no record' $explain default
try explain-no-log 3 'cannot read the log' $explain default "$work/none.jsonl"
try explain-bad-policy 1 'did you mean "mode"' $explain "$work/bad.yaml" "$judged"
json explain-json 0 'o["would_be"] == "blocked" and not o["same"] and o["depends_on"]["mode"] == "enforce"' \
	$explain --json -l 1 strict "$judged"
try policy-test-table 1 '^12  *patches  *text-patch-legal  *allowed  *blocked$' "$rf" policy test strict "$judged"
name=policy-test-row; grep -q '^1  *write  *rodata-is-never-written  *detected, let be  *blocked$' "$out" && ok || bad "no row"
name=policy-test-sum; grep -q '^18 decisions: 4 as they were, 13 otherwise, 1 not known$' "$out" && ok || bad "another sum"
name=policy-test-open; grep -q '^no record tells which of these sites were in use at the seal' "$out" && ok || bad "what is open is not said"
name=policy-test-unreadable; grep -q '1 lines of .* are not records' "$err" && ok || bad "a line was passed over in silence"
printf 'version: 1\npin: { tables: false }\n' >"$work/notables.yaml"
try policy-test-no-event 1 'table-is-foreign  *blocked  *no event (pin.tables: false)$' "$rf" policy test "$work/notables.yaml" "$judged"
json policy-test-json 1 'o["otherwise"] == 13 and sum(d["count"] for d in o["differences"]) == 14' "$rf" policy test --json strict "$judged"
sed -n 5p "$judged" >"$work/same.jsonl"
try policy-test-same 0 '^1 decisions: 1 as they were, 0 otherwise' "$rf" policy test default "$work/same.jsonl"
try policy-test-no-log 3 'cannot read the log' "$rf" policy test default "$work/none.jsonl"
try policy-test-noise 0 '^0 decisions' "$rf" policy test default "$work/zeros"
# What is read out of records stands in the monitor's sources as it is looked for.
name=replay-words; : >"$out"
for word in 'one instruction wrote to two sealed places' 'what it would get could not be read' '%s cleared: %s' \
	'; the guest ran on' '"applied"' '"general protection fault' '"found, ' '"left as ' '"the registers it had' \
	'"the value it had was put back' '"dropped: the kernel'"'"'s patching function' '%s (MSR 0x%x)'; do
	grep -qF -e "$word" "$here"/../../monitor/*.c || echo "$word" >>"$out"
done
[ ! -s "$out" ] && ok || bad "words that the monitor does not write"
# Each kind of site that a policy denies is denied by the same words there and here.
name=replay-patchers
sed -n 's/.*{ RF_PATCH_WORD_\([A-Z_]*\), RF_SITE_\([A-Z_]*\) },.*/\2 \1/p' "$here/../../monitor/patches.c" | sort >"$work/frozen"
python3 - "$here/../../policy/replay_patches.c" "$here/../../patch/kinds.c" <<'END' >"$work/replayed"
import re, sys
names = {text: kind for kind, text in re.findall(r'\[RF_SITE_(\w+)\] = "(\w+)"', open(sys.argv[2]).read())}
rows = re.search(r"\} patchers\[\] = \{(.*?)\n\};", open(sys.argv[1]).read(), re.S)[1]
print("\n".join(sorted(f"{names[site]} {word}" for site, words in re.findall(r'\{ "(\w+)",(.*?)\}', rows, re.S)
                       for word in re.findall(r"RF_PATCH_WORD_(\w+)", words))))
END
diff "$work/frozen" "$work/replayed" >"$out" && [ "$(wc -l <"$work/frozen")" = 8 ] && ok || bad "another table than the monitor's"
# Each rule that the judgement has is explained, and stands in the manual.
name=rules-in-the-manual; : >"$out"
sed -n 's/^|  \([a-z][a-z, -]*\)$/\1/p' "$docs/ringfence.1.scd" | tr -d ' ' | tr ',' '\n' | sort -u >"$work/rows"
sed -n 's/^\t{ "\([a-z-]*\)",.*/\1/p' "$here/../../policy/rules.c" | sort -u >"$work/rules"
grep -vxFf "$work/rows" "$work/rules" >"$out"
[ "$(tr '\n' ' ' <"$out")" = "outside-sealed-memory " ] && [ "$(wc -l <"$work/rules")" -ge 29 ] && ok || bad "rules that the manual does not have"
