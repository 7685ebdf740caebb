# SPDX-License-Identifier: LGPL-2.1-or-later
# Part of run.sh: which records `audit tail` shows, and a hook's row.
log=$work/tail.jsonl
cat >"$log" <<'END'
{"time":"2024-05-01T09:00:00.000000000Z","type":"decision","event":1,"kind":"write","target":{"symbol":"sys_call_table","addr":"0x1"},"writer":{"symbol":"attack","addr":"0x2"},"rule":"rodata-is-never-written","verdict":"blocked"}
{"time":"2024-05-01T10:00:00.500000000Z","type":"decision","event":2,"kind":"write","target":{"symbol":"vfs_read","addr":"0x3"},"writer":{"symbol":"text_poke","addr":"0x4"},"rule":"text-patch-legal-step","verdict":"allowed"}
{"time":"2024-05-01T11:00:00.000000000Z","type":"decision","event":3,"kind":"write","target":{"symbol":"idt_table","addr":"0x5"},"writer":{"symbol":"attack","addr":"0x2"},"rule":"idt-is-never-written","verdict":"blocked"}
{"time":"2024-05-01T11:30:00.000000000Z","type":"decision","kind":"hook","target":{"symbol":"vfs_read","offset":"0x0","addr":"0x3"},"handler":{"symbol":"spy_on_it","offset":"0x10","addr":"0xffffffffc0002010","module":"rootkit"},"rule":"hook-of-a-module","verdict":"detected","detail":"ftrace: module rootkit"}
{"time":"never","type":"decision","event":5,"kind":"write","verdict":"blocked"}
{"type":"end"}
END
# events OPTION...: the events that are shown, in order, "-" where one has none.
events() { "$rf" audit tail "$@" "$log" 2>"$err" | sed 1d | awk '{ print $2 }' | tr '\n' ' ' >"$out"; }
shows() { # NAME EVENTS OPTION...
	name=$1 want=$2; shift 2
	events "$@"; [ "$(cat "$out")" = "$want" ] && ok || bad "not \"$want\""
}
shows tail-all '1 2 3 - 5 - '
shows tail-verdict '1 3 5 ' --verdict blocked
shows tail-verdicts '1 2 3 5 ' --verdict blocked --verdict=allowed
shows tail-rule '3 ' --rule idt-is-never-written
shows tail-rule-and-verdict '' --rule idt-is-never-written --verdict allowed
shows tail-symbol-target '2 - ' --symbol vfs_read
shows tail-symbol-writer '1 3 ' --symbol attack
shows tail-symbol-handler '- ' --symbol spy_on_it
shows tail-symbol-is-whole '' --symbol spy
shows tail-since '3 - ' --since 2024-05-01T11:00:00Z
shows tail-since-fraction '2 3 - ' --since 2024-05-01T10:00:00.5Z
shows tail-since-offset '3 - ' --since 2024-05-01T12:30:00+01:30
shows tail-since-ago '' --since 10m
shows tail-since-long-ago '1 2 3 - ' --since 99999d
shows tail-last-of-those '3 5 ' --verdict blocked -n 2
name=tail-since-is-all; for _ in $(seq 30); do sed -n 3p "$log"; done >"$work/many.jsonl"
[ "$("$rf" audit tail --since 2024-05-01T11:00:00Z "$work/many.jsonl" 2>"$err" | wc -l)" = 31 ] && ok || bad "the last few alone"
# Further back than the last 8 MiB, and what an earlier file may have.
name=tail-since-far-back; { sed -n 1p "$log"; head -c 9000000 /dev/zero | tr '\0' ' ' | fold -w 60000; echo; sed -n 2p "$log"; } >"$work/far.jsonl"
[ "$("$rf" audit tail --since 2024-05-01T08:00:00Z --verdict blocked "$work/far.jsonl" 2>/dev/null | wc -l)" = 2 ] && ok || bad "an old one was not found"
{ echo '{"time":"2024-05-01T09:30:00.000000000Z","type":"continued"}'; sed -n 2p "$log"; } >"$work/later.jsonl"
try tail-since-rotated 0 'goes on from an earlier file' "$rf" audit tail --since 2024-05-01T09:00:00Z --verdict blocked "$work/later.jsonl"
name=tail-since-here; "$rf" audit tail --since 2024-05-01T09:45:00Z "$work/later.jsonl" >"$out" 2>"$err"; [ ! -s "$err" ] && ok || bad "it has all of it"
gzip -c "$log" >"$work/log.gz"
try tail-compressed 3 'it is compressed: unpack it first' "$rf" audit tail "$work/log.gz"
try verify-compressed 6 'it is compressed: unpack it first' "$rf" audit verify "$work/log.gz"
try export-compressed 3 'it is compressed: unpack it first' "$rf" audit export --format ocsf "$work/log.gz"
# A folder of the VM's name, as in /var/log/ringfence, is no log.
mkdir "$work/shadow" "$work/shadow/gone"
name=tail-folder-of-that-name; (cd "$work/shadow" && "$rf" audit tail gone) >"$out" 2>"$err"; grep -q 'cannot read the log /var/log/ringfence/gone/' "$err" && ok || bad "not its log"
# What the rule does not say.
cat >"$work/said.jsonl" <<'END'
{"time":"2024-05-01T09:00:00.000000000Z","type":"decision","event":1,"kind":"msr","rule":"msr-is-pinned","verdict":"blocked","outcome":"general protection fault at the instruction","detail":"STAR (MSR 0xc0000081) <- 0x0"}
{"time":"2024-05-01T09:00:00.000000000Z","type":"decision","event":2,"kind":"write","rule":"text-not-a-patch-site","verdict":"blocked","outcome":"the VM is ended"}
{"time":"2024-05-01T09:00:00.000000000Z","type":"decision","event":3,"kind":"write","rule":"rodata-is-never-written","verdict":"detected","outcome":"applied"}
{"time":"2024-05-01T09:00:00.000000000Z","type":"decision","event":4,"kind":"patches","rule":"text-patch-legal","verdict":"allowed","outcome":"applied","detail":"ftrace 3"}
END
name=tail-says-more; "$rf" audit tail "$work/said.jsonl" >"$out" 2>"$err"
grep -q 'msr-is-pinned: STAR (MSR 0xc0000081) <- 0x0$' "$out" && grep -q 'text-not-a-patch-site; the VM is ended$' "$out" &&
	grep -q 'rodata-is-never-written; applied$' "$out" && grep -q 'text-patch-legal$' "$out" && ok || bad "rows"
cat >"$work/loud.jsonl" <<'END'
{"type":"gap","from":1,"to":2}
{"type":"decision","event":1,"kind":"write","rule":"rodata-is-never-written","verdict":"blocked"}
{"type":"outcome","event":1,"status":"ok"}
{"type":"outcome","event":2,"status":"failed: stale"}
{"type":"decision","event":3,"kind":"patches","rule":"text-patch-legal","verdict":"allowed","outcome":"applied","detail":"ftrace 3"}
{"type":"end"}
END
name=tail-alerts; "$rf" audit tail --alerts "$work/loud.jsonl" >"$out" 2>"$err"
[ "$(sed 1d "$out" | awk '{ print $2 }' | tr '\n' ' ')" = '- 1 2 ' ] && ok || bad "other rows"
name=tail-alerts-as-exported; "$rf" audit export --format ocsf "$work/loud.jsonl" 2>"$err" | grep -c '"is_alert":true' >"$out"
[ "$(cat "$out")" = 3 ] && ok || bad "export counts others"
name=tail-filter-json; "$rf" audit tail --json --rule idt-is-never-written "$log" >"$out" 2>"$err"
[ "$(wc -l <"$out")" = 1 ] && grep -q '"event":3,' "$out" && ok || bad "JSON lines"
name=tail-filter-followed; timeout 2 "$rf" audit tail -f -n 0 --verdict blocked "$log" >"$out" 2>"$err" & pid=$!
sleep 0.7; sed -n 2,3p "$log" >"$work/again"; cat "$work/again" >>"$log"; wait $pid
grep -q ' 3 ' "$out" && ! grep -q ' 2 ' "$out" && ok || bad "followed it shows others"
# Its writer says something in the old file yet when the new one is there.
cp "$log" "$work/keep"
name=tail-followed-rotated; timeout 6 "$rf" audit tail -f -n 0 "$log" >"$out" 2>"$err" & pid=$!
sleep 0.5
for n in 11 12 13 14 15 16; do
	mv "$log" "$log.1"; printf '{"type":"decision","event":%d,"verdict":"blocked"}\n' $((n + 100)) >"$log"
	sleep 0.1; printf '{"type":"decision","event":%d,"verdict":"blocked"}\n' $n >>"$log.1"; sleep 0.6
done
wait $pid; : >"$work/lost"
for n in 11 12 13 14 15 16; do grep -q " $n  *blocked" "$out" && grep -q " $((n + 100))  *blocked" "$out" || echo $n >>"$work/lost"; done
[ ! -s "$work/lost" ] && ok || bad "lines were lost: $(tr '\n' ' ' <"$work/lost")"
mv "$work/keep" "$log"
try tail-no-such-verdict 2 'there is no verdict "denied"' "$rf" audit tail --verdict denied "$log"
name=tail-legal-verdicts; grep -q 'use allowed, blocked, undone, detected' "$err" && ok || bad "the legal words are not named"
try tail-no-such-rule 2 'there is no rule "no-such"' "$rf" audit tail --rule idt-is-never-written --rule no-such "$log"
name=tail-legal-rules; grep -q 'use .*rodata-is-never-written, .*idt-is-never-written' "$err" && ok || bad "the legal words are not named"
for time in yesterday 2024-05-01 2024-13-01T00:00:00Z 2024-02-30T00:00:00Z 10 10w -5m '' 99999999999999999999s; do
	try "tail-no-time-$time" 2 'since' "$rf" audit tail --since "$time" "$log"
done
try tail-since-of-another-verb 2 'is for .tail.' "$rf" audit verify --since 10m "$log"

# A hook: what is hooked, who handles it, and whose that is.
name=tail-hook; "$rf" audit tail --symbol spy_on_it "$log" >"$out" 2>"$err"
grep -q '^TIME *EVENT *VERDICT *KIND *TARGET *WRITER/HANDLER *TASK *RULE$' "$out" &&
	grep -q '^2024-05-01T11:30:00.000  *-  *detected  *hook  *vfs_read  *spy_on_it+0x10 \[rootkit\]  *-  *hook-of-a-module: ftrace: module rootkit$' "$out" &&
	ok || bad "the row of a hook"
# Every rule that records can have is one that can be asked for.
name=tail-every-rule; "$rf" audit tail --rule x "$log" 2>&1 | sed -n 's/.*use //p' | tr -d ' ' | tr ',' '\n' | sort -u >"$work/rules"
sed '/^enum rf_patch_word rf_policy_hook/,$d' "$here/../../policy/decide.c" | grep -oE '"[a-z]+(-[a-z0-9]+)+"' | tr -d '"' | sort -u >"$work/decided"
comm -13 "$work/rules" "$work/decided" >"$out"; [ ! -s "$out" ] && [ "$(wc -l <"$work/decided")" -ge 20 ] && ok || bad "rules that cannot be asked for"
