# SPDX-License-Identifier: LGPL-2.1-or-later
# Part of run.sh: what looks at a dump of a guest's memory, with files that are none. `make oracle` has real ones.
dumps=$work/dumps
mkdir "$dumps"
: >"$dumps/empty"
echo 'hello, world' >"$dumps/text"
cp /bin/true "$dumps/program"
truncate -s 1M "$dumps/zeros"
mkfifo "$dumps/fifo"
printf '\037\213\010\0\0\0' >"$dumps/gz"
# A core of one segment that begins behind its headers, and ends behind the file.
python3 - "$dumps/cut" <<'END'
import struct, sys
head = struct.pack("<4sBBBB8xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 4, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
load = struct.pack("<IIQQQQQQ", 1, 7, 4096, 0, 0, 1 << 20, 1 << 20, 0)
open(sys.argv[1], "wb").write((head + load).ljust(4096, b"\0") + b"\xaa" * 8192)
END
# NAME CODE TEXT FILE [OPTION]: the commands say that of the file; "all" of them before it, else `check` alone.
looked() {
	which=
	[ "$1" = all ] && { shift; which="hooks:$4 ps:$4 modules:$4 symbols:$4 disas:$4:vfs_read pagetable:$4:vfs_read print:$4:task_struct:init_task"; }
	for command in check:$4 $which; do
		command=$(echo "$command" | tr : ' ')
		try "${command%% *}-$1" "$2" "$3" "$rf" ${command} ${5:-}
		name=${command%% *}-$1-remedy; grep -q 'it means:' "$err" && grep -q 'to do:' "$err" && ok || bad "an error without a remedy"
		name=${command%% *}-$1-quiet; [ ! -s "$out" ] && ok || bad "something is printed as a result"
	done
}
looked all none 3 'cannot open .*none: No such file' "$dumps/none"
looked empty 6 'empty: ' "$dumps/empty"
looked text 6 'text: ' "$dumps/text"
looked program 6 'program: ' "$dumps/program"
looked all cut 6 'cut: ' "$dumps/cut"
looked zeros 6 'no kernel' "$dumps/zeros"
looked all json 6 'no kernel' "$dumps/zeros" --json
looked folder 6 'dumps: ' "$dumps"
looked fifo 6 'fifo: ' "$dumps/fifo"
try dump-gzip 6 'unpack it first' "$rf" check "$dumps/gz"
# What it begins with decides how it is read, unless it is said to be raw.
try dump-not-raw 6 'no core' "$rf" check "$dumps/program"
truncate -s %4096 "$dumps/program"
try dump-raw 6 'no kernel' "$rf" check --raw "$dumps/program"
name=dump-printable; cp "$dumps/zeros" "$dumps/$(printf 'a\033[8mb')"
"$rf" check "$dumps/$(printf 'a\033[8mb')" >"$out" 2>"$err"; [ $? = 6 ] && ! LC_ALL=C grep -q '[^ -~]' "$err" && ok || bad "control bytes"

# --- the command line -----------------------------------------------------------------------------
for c in check hooks ps modules symbols disas pagetable print; do try "$c-no-file" 2 "$c takes: " "$rf" $c; done
for c in ps modules; do try "$c-two-files" 2 'takes: ' "$rf" $c a b; done
try symbols-three 2 'takes: ' "$rf" symbols a b c
try disas-no-address 2 'takes: ' "$rf" disas "$dumps/zeros"
for count in 0 4097 x -1; do try "disas-count-$count" 2 'from 1 to 4096' "$rf" disas "$dumps/zeros" -- vfs_read $count; done
try print-no-address 2 'takes: ' "$rf" print "$dumps/zeros" task_struct
try print-depth 2 'from 1 to 8' "$rf" print --depth 9 "$dumps/zeros" task_struct init_task
# Before a dump of many gigabytes is read.
for c in check hooks; do try "$c-unknown" 2 'there is no check "nonsense"' "$rf" $c "$dumps/none" syscalls nonsense; done
set --; for i in $(seq 33); do set -- "$@" --known x; done
try check-known-too-many 2 'may be given 32 times' "$rf" check "$@" "$dumps/zeros"

# --- what checks there are ------------------------------------------------------------------------
try check-list 0 '^NAME *SEVERITY *ATT&CK *LOOKS WHETHER$' "$rf" check --list
name=check-list-all; [ "$(wc -l <"$out")" -gt 30 ] && [ "$(grep -cE '^[a-z0-9-]+ +(low|medium|high|critical) +T[0-9.]+ +[A-Za-z]' "$out")" = $(($(wc -l <"$out") - 1)) ] &&
	ok || bad "not a row for each check"
try check-list-one 0 'a finding means: somebody took a system call over' "$rf" check --list syscalls
name=check-list-alone; [ "$(wc -l <"$out")" = 3 ] && ok || bad "others too"
try check-list-unknown 2 'there is no check "nonsense"' "$rf" check --list nonsense
json check-list-json 0 'len(o) > 30 and all(set(c) == {"name", "severity", "attack", "looks_for", "reading"} and all(c.values()) for c in o)' \
	"$rf" check --list --json

# --- posture --------------------------------------------------------------------------------------
try posture-help 0 'check posture FILE' "$rf" check --help
try posture-no-file 2 'check takes: ' "$rf" check posture
try posture-two-files 2 'check takes: ' "$rf" check posture a b
try posture-none 3 'cannot open .*none: No such file' "$rf" check posture "$dumps/none"
try posture-zeros 6 'no kernel' "$rf" check posture --raw "$dumps/zeros"
try posture-diff-none 6 'no kernel' "$rf" check posture --raw "$dumps/zeros" --diff "$dumps/none"
try posture-option 2 'there is no option --nonsense' "$rf" check posture --nonsense "$dumps/zeros"
try posture-live 3 'there is no VM web' "$rf" check posture --live web
try posture-known 2 'posture takes no --known' "$rf" check posture --known x "$dumps/zeros"
try posture-diff-alone 2 'is for posture' "$rf" check --diff "$dumps/zeros" "$dumps/zeros"
try posture-diff-list 2 'check takes: ' "$rf" check --list --diff "$dumps/zeros" posture
try posture-list 0 '^NAME *WANTED *SET BY *WHY$' "$rf" check --list posture
name=posture-list-all; [ "$(wc -l <"$out")" -gt 60 ] && ok || bad "not a row for each"
json posture-list-json 0 'len(o) > 60 and all(set(r) == {"name", "wanted", "set_by", "why"} and all(r.values()) for r in o)' "$rf" check --list --json posture
# A file of that name is another operand than the word.
name=posture-file; cp "$dumps/zeros" "$dumps/posture"; (cd "$dumps" && "$rf" check ./posture) >"$out" 2>"$err"; [ $? = 6 ] && grep -q 'no kernel' "$err" && ok || bad "./posture is no file"
