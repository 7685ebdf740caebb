# SPDX-License-Identifier: LGPL-2.1-or-later
# Part of run.sh: what commands make of a monitor's answers, whatever they are; and of a log of patches.
# A monitor that says what it is told to, one line for each that asks: NAME's answers are its lines.
try gadgets-nobody 3 'no VM' "$rf" gadgets nobody
try gadgets-no-name 2 'name' "$rf" gadgets
mkdir "$work/told"
told() {
	rm -f "$work/told/control.sock"
	python3 -c '
import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
for line in sys.argv[2:]:
    client = listener.accept()[0]
    client.recv(1000)
    client.sendall(line.encode() + b"\n")
    client.close()' "$work/told/control.sock" "$@" & teller=$!
	while [ ! -S "$work/told/control.sock" ]; do sleep 0.05; done
}
hush() { kill $teller 2>/dev/null; wait $teller 2>/dev/null; }
kinds='[{"kind":"wrmsr","intended":true,"count":2,"covered":"blocked","by":"filter"},{"kind":"wrmsr","intended":false,"count":0,"covered":"blocked","by":"filter"},{"kind":"lidt","intended":false,"count":1,"covered":"not covered","by":"nothing"}]'
list='[{"at":"0x10","symbol":"f\u001b+0x1","kind":"wrmsr","intended":true},{"at":"0x20","symbol":"g+0x0","kind":"lidt","intended":false},{"at":7,"kind":[],"intended":1}]'
report="{\"done\":true,\"text\":\"0xffffffff81000000\",\"text_bytes\":2048,\"total\":9,\"kinds\":$kinds,\"list\":$list,\"left_out\":6}"
told '{"done":false,"searched":1,"text_bytes":9}' '{"done":false,"searched":2,"text_bytes":9}' "$report"
try gadgets-table 0 '^wrmsr *intended *2 *blocked *filter' "$rf" gadgets "$work/told"; hush
name=gadgets-summary; grep -q '^9 sensitive instructions in 2 KiB of text at 0xffffffff81000000' "$out" &&
	! grep -q '^wrmsr *unintended' "$out" && ok || bad "the counts are not as they were told"
told "$report"
try gadgets-all 0 '^0x20 *g+0x0 *lidt *unintended *not covered *nothing' "$rf" gadgets --all "$work/told"; hush
name=gadgets-all-rest; grep -q '^6 more are left out' "$out" && grep -q '^0x10 *f?+0x1 ' "$out" && ok || bad "a list that was cut"
told "$report"
try gadgets-json 0 '"text_bytes": 2048' "$rf" gadgets --json "$work/told"; hush
told '{"error":"nothing \u001b sealed"}'
try gadgets-unsealed 1 'nothing ? sealed' "$rf" gadgets "$work/told"; hush
for answer in '[]' 'noise' '{}' '{"done":7}' '{"done":"x"}'; do
	told "$answer"
	# Nobody holds the folder's lock: whatever does not make sense is a dead VM's.
	try "gadgets-answer-$answer" 3 'is dead' "$rf" gadgets "$work/told"; hush
done
states='{"name":"syscalls","state":"clean","why":""},{"name":"netfilter","state":"found","why":""}'
told "{\"done\":true,\"on\":true,\"checks\":[$states],\"findings\":[{\"check\":\"netfilter\",\"what\":\"netfilter hook 1\",\"object\":\"0x10\",\"target\":\"0x20\",\"owner\":\"nobody\",\"symbol\":\"\",\"reason\":\"it leads \u001b away\",\"told\":true}]}"
try check-live-found 1 '^critical *netfilter *netfilter hook 1 *nobody 0x20 *it leads ? away' "$rf" check --live "$work/told"; hush
told "{\"done\":true,\"on\":true,\"checks\":[$states],\"findings\":[]}"
try check-live-one 0 '^1 check: 1 clean' "$rf" check --live "$work/told" syscalls; hush
told '{"done":true,"on":true,"checks":[{"name":"syscalls","state":"not yet"}],"findings":[]}'
try check-live-waits 6 '^1 more have not run yet' "$rf" check --live "$work/told"; hush
told '{"done":true,"on":false,"checks":[],"findings":[]}'
try check-live-off 6 'checks are off' "$rf" check --live "$work/told"; hush
for answer in '[]' '{"done":true}' '{"done":true,"on":true,"checks":7,"findings":{"a":1}}' '{"done":true,"on":true,"checks":[1,[],{}],"findings":[{"told":true},7]}'; do
	told "$answer"
	"$rf" check --live "$work/told" >"$out" 2>"$err"; code=$?; hush
	name=check-live-odd; [ $code -gt 0 ] && [ $code -le 6 ] && ok || bad "exit $code for $answer"
done
told '{"error":"no kernel \u001b is sealed"}'
try live-unsealed 6 'no kernel ? is sealed' "$rf" ps --live "$work/told"; hush
try live-nobody 3 'no VM' "$rf" modules --live nobody
try live-raw 2 'for a dump' "$rf" ps --live --raw "$work/told"
pages='"pages":1,"bytes":"AAAA"'
kernel='"root":"0x1000","levels":4,"image":{"gva":"0xffffffff81000000","gpa":"0x1000000","size":"0x2000"}'
for answer in '[]' '{"done":true}' '{"done":true,"kernel":{'"$kernel}}" '{"done":true,"kernel":7,'"$pages}" \
	'{"done":true,"kernel":{'"$kernel"',"tables":{"gva":"0xffffffff81000000","gpa":"-1","size":"0xffffffffffffffff"}},'"$pages}" \
	'{"done":true,"kernel":{'"$kernel"',"tables":{"gva":"0xffffffff81000000","gpa":"0x1000000","size":"0x2000"}},'"$pages}"; do
	for c in "ps --live $work/told" "disas --live $work/told vfs_read" "check posture --live $work/told"; do
		# All that is asked for then is answered in the same way.
		told "$answer" "$answer" "$answer" "$answer" "$answer"
		"$rf" $c >"$out" 2>"$err"; code=$?; hush
		name="live-odd-$c"; [ $code -ge 3 ] && [ $code -le 6 ] && grep -q 'to do:' "$err" && [ ! -s "$out" ] && ok || bad "exit $code for $answer"
	done
done
# Of another kernel than the first answer was of: it was sealed meanwhile.
tables='"tables":{"gva":"0xffffffff81000000","gpa":"0x1000000","size":"0x2000"}'
told '{"done":true,"kernel":{"sealed":"0x7",'"$kernel,$tables},$pages}" '{"done":true,"kernel":{"sealed":"0x9",'"$kernel,$tables},$pages}"
try live-other-kernel 6 'is gone, or another one by now' "$rf" ps --live "$work/told"; hush
# A dump: two ranges of memory; then what is not to be written down. The map is asked for before and after.
one=$(head -c 4096 /dev/zero | tr '\0' x | base64 -w 0) sealed='{"done":true,"kernel":{"sealed":"0x7"}'
page="$sealed,\"pages\":1,\"bytes\":\"$one\"}" none="$sealed,\"pages\":0,\"bytes\":\"\"}"
range() { echo "$sealed,\"ranges\":[{\"at\":\"$1\",\"size\":\"$2\"}${3:+,{\"at\":\"$3\",\"size\":\"$4\"\}}]}"; }
two=$(range 0x0 0x1000 0x100000 0x1000) small=$(range 0x0 0x1000)
told "$none" "$two" "$page" "$page" "$two"
try dump-written 0 "written: 0.0 MiB of memory of .*, in 2 ranges" "$rf" dump "$work/told" "$work/dump-written"; hush
name=dump-readable; [ "$(stat -c %a "$work/dump-written")" = 600 ] && ! "$rf" check "$work/dump-written" >"$out" 2>"$err" &&
	grep -q 'no kernel' "$err" && ok || bad "what was dumped is no dump"
told "$none"
try dump-there 2 'is there\|exists' "$rf" dump "$work/told" "$work/dump-written"; hush
told "$none" "$small" "$page" "$small"
try dump-json 0 '"at": "0x0"' "$rf" dump --json "$work/told" "$work/$(printf 'x\377')"; hush
# A slot that is away for a moment; and what is never there, which is said.
told "$none" "$two" "$page" "$none" "$none" "$page" "$two"
try dump-away 0 'in 2 ranges' "$rf" dump "$work/told" "$work/dump-away"; hush
set --; for _ in 1 2 3 4 5 6 7 8 9 10; do set -- "$@" "$none"; done
told "$none" "$two" "$@" "$page" "$two"
try dump-missing 7 'cannot be read' "$rf" dump "$work/told" "$work/missing"; hush
name=dump-rest; [ -s "$work/missing" ] && ok || bad "the rest of it is not there"
# Nothing of these is left.
for answer in '{"done":true,"kernel":{"sealed":"0x7"}}' "$sealed,\"ranges\":[]}" "$sealed,\"ranges\":7}" "$(range 0x0 0x1001)" "$(range 0x1000 0x1000 0x0 0x1000)" \
	"$(range 0x0 0x2000 0x1000 0x1000)" "$(range 0xfffffffffffff000 0x1000)" "$(range 0x0 0x0)"; do
	told "$none" "$answer"
	try "dump-map-$answer" 3 'is dead' "$rf" dump "$work/told" "$work/dumped"; hush
done
told "$none" "$(range 0x0 0x8000000000000)"
try dump-no-room 5 'no room for ' "$rf" dump "$work/told" "$work/dumped"; hush
told "$none" "$small" "$page" "$two"
try dump-came 6 'came or went' "$rf" dump "$work/told" "$work/dumped"; hush
told "$none" "$small" '{"done":true,"kernel":{"sealed":"0x9"},'"$pages}"
try dump-other-kernel 6 'is gone, or another one by now' "$rf" dump "$work/told" "$work/dumped"; hush
told "$none" "$small" '{"error":"no kernel is sealed"}'
try dump-unsealed-meanwhile 6 'does not show its memory: no kernel is sealed' "$rf" dump "$work/told" "$work/dumped"; hush
told '{"error":"no kernel is sealed"}'
try dump-unsealed 6 'no kernel is sealed' "$rf" dump "$work/told" "$work/dumped"; hush
told "$none"
try dump-nowhere 5 'No such file' "$rf" dump "$work/told" "$work/no/dumped"; hush
told "$none"
ln -s "$work/elsewhere" "$work/led"
try dump-led 2 'is there\|exists' "$rf" dump "$work/told" "$work/led"; hush
told "$none" "$small" "$page" "$small"
name=dump-full; "$rf" dump "$work/told" "$work/dumped" >/dev/full 2>"$err"; [ $? = 5 ] && ok || bad "nobody has read that it is written"; hush
# The folder on the way is another one when it fails: what has that name there is somebody else's.
mkdir "$work/a" "$work/b"; echo precious >"$work/b/core"; ln -s a "$work/way"
told "$none" "$two" "$none" "$none" "$none" "$none" '{"done":true,"kernel":{"sealed":"0x9"},'"$pages}"
(sleep 0.5; ln -sfn b "$work/way") &
try dump-led-meanwhile 6 'another one by now' "$rf" dump "$work/told" "$work/way/core"; hush
name=dump-none; [ ! -e "$work/dumped" ] && [ ! -e "$work/elsewhere" ] && [ ! -e "$work/a/core" ] && [ -s "$work/b/core" ] && ok || bad "a file is left, or another one gone"
try dump-nobody 3 'no VM' "$rf" dump nobody "$work/dumped"
try dump-no-file 2 'takes: .* FILE' "$rf" dump "$work/told"
told '{"done":true}'
try gadgets-empty 0 '^0 sensitive' "$rf" gadgets --all "$work/told"; hush
told '{"done":false}' "{\"done\":true,\"measurement\":$measured}"
try measure-table 0 "^text *0x10 *0x20 *2 *$sha" "$rf" measure "$work/told"; hush
told "{\"done\":true,\"measurement\":$measured}"
try measure-json 0 '"version": 1' "$rf" measure --json "$work/told"; hush
# What is written down is what `run --expect` reads: it fails later, over something else.
cp "$out" "$work/said.json"
try measure-is-read 125 'cannot open' $run --expect "$work/said.json" --kvm "$work/none" -- "$work/bin/vmm" 0
told '{"error":"nothing \u001b sealed"}'
try measure-unsealed 1 'nothing ? sealed' "$rf" measure "$work/told"; hush
for answer in '[]' '{}' '{"done":7}' '{"done":true}' '{"done":true,"measurement":{}}' \
	"{\"done\":true,\"measurement\":$(cat "$work/newer.json")}"; do
	told "$answer"
	try "measure-answer-$answer" 3 'is dead' "$rf" measure "$work/told"; hush
done
try measure-nobody 3 'no VM' "$rf" measure nobody
try measure-no-name 2 'name' "$rf" measure
told '{"state":"halted","halted":"what arrived is \u001b another"}'
try status-halted 0 '^why no vCPU runs *what arrived is ? another' "$rf" status "$work/told"; hush
sleep 60 & still=$!; kill -STOP $still
told "{\"state\":\"sealed\",\"vmm_pid\":$still}"
try status-stands-still 0 '^stands still *the VMM is stopped' "$rf" status "$work/told"; hush
kill -CONT $still; told "{\"state\":\"sealed\",\"vmm_pid\":$still}"
name=status-goes-on; "$rf" status "$work/told" >"$out" 2>"$err"; hush; kill $still
grep -q '^VMM process' "$out" && ! grep -q '^stands still' "$out" && ok || bad "one that runs stands still"
told '{"state":"sealed","halted":""}'
name=status-not-halted; "$rf" status "$work/told" >"$out" 2>"$err"; hush
grep -q '^state *sealed' "$out" && ! grep -q '^why' "$out" && ok || bad "a reason where nothing is halted"
name=status-halted-todo; told '{"state":"halted","halted":"x"}'; "$rf" status "$work/told" >"$out" 2>"$err"; hush
grep -q '^to do *reset the guest in its VMM' "$out" && ok || bad "nothing is said about what to do"
told '{"state":"booting","halted":"","awaiting":"the kernel \u001b that","mode":"observe","on_kexec":"rearm","on_mismatch":"alert","expect":true}'
name=status-policy; "$rf" status "$work/told" >"$out" 2>"$err"; hush
grep -q '^waits for *the kernel ? that$' "$out" && grep -q '^to do *nothing while' "$out" && grep -q '^mode *observe$' "$out" &&
	grep -q '^on_kexec *rearm$' "$out" && grep -q '^on_mismatch *alert$' "$out" && grep -q '^--expect *given' "$out" && ok ||
	bad "the policy or what is awaited is not shown"
told '{"state":"sealed","expect":false}'
try status-no-expect 0 '^--expect *not given' "$rf" status "$work/told"; hush
told '{"state":"sealed","sites_left_out":[{"reason":"odd","count":2,"why":"no \u001b such","first":"f\u001b+0x10"},{"reason":"nothing-kept","count":null,"why":"all of them","first":""},7,{}]}'
try status-left-out 0 '^sites left out *2 odd: no ? such; the first is f?+0x10$' "$rf" status "$work/told"; hush
name=status-left-out-all; grep -q '^sites left out *nothing-kept: all of them$' "$out" && ok || bad "a list that has no count"
told '{"state":"sealed","sites_left_out":[]}'
try status-none-left-out 0 '^sites left out *none$' "$rf" status "$work/told"; hush
told '{"state":"booting","sites_left_out":null}'
try status-no-sites 0 '^sites left out *-$' "$rf" status "$work/told"; hush
told '{"state":"sealed","sites_left_out":[{"reason":"full","count":3,"why":"x","first":""}]}'
try status-left-out-json 0 '"reason": "full"' "$rf" status --json "$work/told"; hush
for c in gadgets measure; do
	told '{"error":"what arrived \u001b","halted":true}'
	try "$c-halted" 1 'is halted, no vCPU runs: what arrived ?' "$rf" $c "$work/told"; hush
	name=$c-halted-todo; grep -q 'to do: *reset the guest in its VMM' "$err" && ok || bad "no remedy"
done
rm -r "$work/told"

# The log of patches lies beside the audit log: a head, a patch, a torn record, a patch of another kernel.
python3 -c '
import struct, sys
head = lambda base, kernel: struct.pack("<QQQI4s", 7, base, kernel, 1, b"PLHD")
line = lambda at, kind: struct.pack("<QIHBB6s6s4s", 1714557600123456789, at, 1, kind, 2, b"\x66\x90", b"\xeb\x10", b"PLLN")
sys.stdout.buffer.write(head(0xffffffff81000000, 2) + line(0x100, 1) + line(0x300, 99) + b"\0" * 32
                        + head(0xffffffff9a000000, 5) + line(0x200, 4))' >"${log%.jsonl}.patches"
try patches-table 0 '2024-05-01T10:00:00.123456Z *1 *jump_label *0xffffffff81000100 *6690 *eb10' "$rf" audit patches "$log"
name=patches-unknown; grep -q 'unknown *0xffffffff81000300' "$out" && ok || bad "a kind of another release is not shown"
name=patches-last; "$rf" audit patches -n 1 --json "${log%.jsonl}.patches" >"$out" 2>"$err"
[ "$(wc -l <"$out")" = 1 ] && grep -q '"kernel":5.*"kind":"ftrace","addr":"0xffffffff9a000200"' "$out" && ok ||
	bad "-n 1 is not the last patch of the last kernel"
name=patches-none; "$rf" audit patches -n 0 "$log" >"$out" 2>"$err"
[ ! -s "$out" ] && ok || bad "-n 0 shows some"
try patches-follow 2 '--follow is for .tail. and .export., not for .patches.' "$rf" audit patches -f "$log"
try patches-no-file 3 'cannot read' "$rf" audit patches "$work/none.jsonl"
mv "$work/noise" "$work/noise.patches"
try patches-noise 0 '' "$rf" audit patches "$work/noise.patches"
