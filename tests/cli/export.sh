# SPDX-License-Identifier: LGPL-2.1-or-later
# Part of run.sh: `ringfence audit export`.
seeds=$here/../fuzz/corpus/fuzz_export
exporting="$rf audit export --format"

# Each kind that the monitor writes, and hostile ones, in each format, read back by another reader.
monitor_kinds >"$work/written"
try export-every-kind 0 ' 0 wrong$' python3 "$here/export.py" "$rf" "$work/written" "$seeds"
name=export-formats; $exporting nonsense "$log" 2>&1 | sed -n 's/.*there are //p' | tr -d , | tr ' ' '\n' | sort >"$work/formats"
"$rf" audit --help | sed -n 's/.*(export) \(ocsf.*\)/\1/p' | sed 's/,//g;s/ or / /' | tr ' ' '\n' | sort >"$out"
cmp -s "$work/formats" "$out" && [ "$(wc -l <"$out")" = 6 ] && ok || bad "the help has other formats"
name=export-formats-in-the-manual; sed -n '/^# EXPORT$/,/^# POLICY/s/^\*\([a-z]*\)\*$/\1/p' "$here/../../docs/ringfence.1.scd" | sort >"$out"
cmp -s "$work/formats" "$out" && ok || bad "the manual has other formats"

try export-no-format 2 'needs --format: ocsf, ' "$rf" audit export "$log"
try export-unknown-format 2 '"leef" is no format' $exporting leef "$log"
try export-format-of-tail 2 '.-format is for .export., not for .tail.' "$rf" audit tail --format cef "$log"
try export-lines 2 '.-lines is for' $exporting cef -n 1 "$log"
try export-two-logs 2 'takes the name of one' $exporting cef "$log" "$log"
try export-missing 3 'cannot read the log' $exporting cef "$work/none.jsonl"
name=export-full-output; $exporting ocsf "$seeds/write" >/dev/full 2>"$err"; [ $? = 5 ] && ok || bad "a full output went unnoticed"
: >"$work/nothing.jsonl"; try export-nothing 0 '' $exporting ocsf "$work/nothing.jsonl"

# A line that is no record is named, and the others go out all the same.
exported() { # NAME CODE LINES TEXT, of $work/broken.jsonl
	try "export-$1" "$2" "$4" $exporting cef "$work/broken.jsonl"
	name=export-$1-lines; [ "$(grep -c '^CEF:0|' "$out")" = "$3" ] && ok || bad "not $3 lines"
}
end='{"type":"end"}'
printf '%s\nnoise\n[]\n%s\n' "$end" "$end" >"$work/broken.jsonl"; exported broken 1 2 'broken.jsonl, lines 2 to 3: no record, and not exported'
printf '%s\n%s\n\377\n' "$end" "$end" >"$work/broken.jsonl"; exported broken-end 1 2 'broken.jsonl, line 3: no record'
printf '%s\nhalf\n{"type":"end","after_torn":true}\n' "$end" >"$work/broken.jsonl"; exported torn 0 2 'line 2: torn, as the next record says'
printf '%s\n{"type":' "$end" >"$work/broken.jsonl"; exported half 7 1 'the last line is not whole'
printf '%s\n%s' "$end" "$end" >"$work/broken.jsonl"; exported no-newline 0 2 ''
printf '%s\nx\nhalf' "$end" >"$work/broken.jsonl"; exported broken-and-half 1 1 'line 2: no record'
# From its beginning, however long.
python3 -c 'print("{\"type\":\"end\",\"detail\":\"" + "x" * 60000 + "\"}\n" * 1)' | sed '/^$/d' >"$work/one"
for _ in $(seq 160); do cat "$work/one"; done >"$work/broken.jsonl"; rm "$work/one"
exported long 0 160 ''

# Followed through a rotation: what is written later goes out, once.
printf '%s\n' "$end" >"$work/follow.jsonl"
name=export-follow; timeout 4 $exporting journal -f "$work/follow.jsonl" >"$out" 2>"$err" & pid=$!
sleep 0.7; printf '{"type":"end","seq":2}\n{"type":"end",' >>"$work/follow.jsonl"
sleep 0.7; printf '"seq":3}\n' >>"$work/follow.jsonl"
sleep 0.7; mv "$work/follow.jsonl" "$work/follow.1"; printf '{"type":"end","seq":4}\n' >"$work/follow.jsonl"; wait $pid
[ "$(grep '^RINGFENCE_SEQ=' "$out" | tr '\n' ' ')" = "RINGFENCE_SEQ=2 RINGFENCE_SEQ=3 RINGFENCE_SEQ=4 " ] && [ "$(grep -c ^MESSAGE= "$out")" = 4 ] &&
	ok || bad "following loses lines, or tells them twice"

# Written to the old file long after the new one is there; a file between two looks; and one that is not there any more.
step() { printf '{"type":"end","instance":"0x1","seq":%d}\n' "$1"; } # line N of one instance
name=export-follow-late; step 1 >"$work/late.jsonl"; $exporting journal -f "$work/late.jsonl" >"$out" 2>"$err" & pid=$!
sleep 0.7; mv "$work/late.jsonl" "$work/late.jsonl.4"; : >"$work/late.jsonl"; sleep 1; step 2 >>"$work/late.jsonl.4"; step 3 >>"$work/late.jsonl"; sleep 0.7
mv "$work/late.jsonl" "$work/late.jsonl.3"; step 4 >"$work/late.jsonl"; mv "$work/late.jsonl" "$work/late.jsonl.2"; step 5 >"$work/late.jsonl"; sleep 0.7
kill -TERM $pid; wait $pid; code=$?
[ $code = 0 ] && [ "$(grep '^RINGFENCE_SEQ=' "$out" | tr -dc '0-9\n' | tr '\n' ' ')" = "1 2 3 4 5 " ] && ok || bad "code $code: lines were lost"
for verb in "export --format journal" tail; do
	name="follow-missing-${verb%% *}"; step 1 >"$work/gone.jsonl"; "$rf" audit $verb -f "$work/gone.jsonl" >"$out" 2>"$err" & pid=$!
	sleep 0.7; rm "$work/gone.jsonl"; step 3 >"$work/gone.jsonl"; sleep 0.7; kill -TERM $pid; wait $pid; code=$?
	[ $code = 1 ] && grep -q 'lines 2 to 2 of instance 0x1 are missing' "$err" && ok || bad "code $code: a line is lost without a word"
done

# What is exported is found in the log by its hash, and the log is verified as before.
name=export-hash; $exporting ocsf "$logs/intact" >"$out" 2>"$err"
python3 -c 'import json, sys
out, log = ([json.loads(line) for line in open(f)] for f in sys.argv[1:])
assert [o["unmapped"]["hash"] for o in out] == [o["hash"] for o in log] and len(log) > 1' "$out" "$logs/intact" 2>"$err" && ok || bad "other hashes"

# The journal itself, where its importer is installed.
remote=/lib/systemd/systemd-journal-remote
if [ -x $remote ] && command -v journalctl >/dev/null; then
	name=export-journal-imports; cat "$seeds/write" "$seeds/hostile" "$seeds/dma" | sed 's/}{/}\n{/g' >"$work/three.jsonl"
	$exporting journal "$work/three.jsonl" | timeout 30 $remote -o "$work/three.journal" - >"$out" 2>"$err"
	[ "$(journalctl --file "$work/three.journal" -o cat --no-pager | wc -l)" = 3 ] &&
		journalctl --file "$work/three.journal" -o cat RINGFENCE_KIND=dma 2>>"$err" | grep -q '^device write' && ok || bad "not three entries"
else
	skip export-journal-imports "systemd-journal-remote is not installed"
fi
