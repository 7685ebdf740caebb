# SPDX-License-Identifier: LGPL-2.1-or-later
# Part of run.sh: bash completion against the commands' own tables, and as bash uses it.
script=$here/../../completions/ringfence.bash

# completes WORD...: what is offered for the last one.
completes() {
	bash -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ringfence; printf "%s\n" "${COMPREPLY[@]}"' \
		bash "$script" "$@" 2>"$err" | sort -u
}
offers() { # NAME WORDS WORD...
	name=$1 words=$2; shift 2
	completes "$@" >"$out"; [ "$(tr '\n' ' ' <"$out")" = "$words " ] && [ ! -s "$err" ] && ok || bad "not \"$words\""
}
if ! command -v bash >/dev/null; then
	skip completion "bash is not there"
else
name=completion-commands
"$rf" --help | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p' | sort >"$work/commands"
completes ringfence '' | grep -v '^-' >"$out"; cmp -s "$work/commands" "$out" && [ -s "$out" ] && ok || bad "not the commands that there are"
# Options of a command's table, and which of them take a value.
for c in $(cat "$work/commands"); do
	source=$here/../../cli/$c.c
	grep -q 'rf_subject_command(' "$source" && source=$here/../../cli/subject.c # has no options of its own
	table=$(sed -n "s/^\t\t{ \"\([a-z-]*\)\", \('.'\|0\), RF_OPTION_\([A-Z]*\),.*/\1 \2 \3/p" "$source")
	name=completion-options-$c
	{ echo "$table" | sed 's/^/--/;s/ .*//'; echo --help; } | sort -u >"$work/options"
	completes ringfence $c - >"$out"; cmp -s "$work/options" "$out" && [ "$(wc -l <"$out")" -ge 2 ] && ok || bad "not the options of $source"
	echo "$table" | while read -r long letter kind; do
		letter=$(echo "$letter" | tr -d "0'")
		for word in --$long ${letter:+-$letter}; do
			value=$(bash -c '. "$1"; _ringfence_value "$2"' bash "$script" "$word")
			# "-a" has a value with `run` and none with `gadgets`: completion knows.
			[ "$c$word" = gadgets-a ] && value=
			case $kind:$value in FLAG: | TEXT:?* | LIST:?* | NUMBER:none) ;; *) echo "$word of $c: $kind, \"$value\"" ;; esac
		done
	done >"$out"
	name=completion-values-$c; [ ! -s "$out" ] && ok || bad "options with another kind of value"
done
name=completion-verbs; completes ringfence policy '' >"$out"
sed -n 's/^\t{ "\([a-z]*\)", [0-9], .*/\1/p' "$here/../../cli/policy.c" | sort | cmp -s - "$out" && ok || bad "not the verbs of cli/policy.c"
mkdir "$work/tab"; cd "$work/tab" || exit 1
touch web.yaml web.jsonl
profiles=$(cd "$here/../../policy/profiles" && ls | sed 's/\.yaml//' | tr '\n' ' ')
offers completion-policy "${profiles}web.jsonl web.yaml" ringfence run --policy ''
offers completion-policy-begun strict ringfence run -p s
offers completion-expect 'web.jsonl web.yaml' ringfence run --expect w
offers completion-vmm-arguments 'web.jsonl web.yaml' ringfence run -- qemu-system-x86_64 -kernel w
offers completion-number '' ringfence audit tail --lines ''
offers completion-audit 'export keygen patches rotate tail verify' ringfence audit ''
offers completion-verdict 'allowed blocked detected undone' ringfence audit tail --verdict ''
offers completion-format "$(tr '\n' ' ' <"$work/formats" | sed 's/ $//')" ringfence audit export --format ''
offers completion-check 'web.jsonl web.yaml' ringfence policy check web.yaml w
offers completion-test-policy "${profiles}web.jsonl web.yaml" ringfence policy test ''
offers completion-gadgets-all 'web.jsonl web.yaml' ringfence gadgets -a w
offers completion-dump 'posture web.jsonl web.yaml' ringfence check ''
offers completion-posture 'web.jsonl web.yaml' ringfence check posture ''
offers completion-posture-alone '' ringfence check posture web.jsonl ''
export XDG_RUNTIME_DIR=$work/tab/run; mkdir -p run/ringfence/vm1 run/ringfence/vm2
if [ "$(id -u)" != 0 ]; then
	offers completion-live 'vm1 vm2' ringfence ps --live ''
	offers completion-live-posture 'vm1 vm2' ringfence check --live posture ''
fi
unset XDG_RUNTIME_DIR; rm -r run
name=completion-check-names; "$rf" check --list | awk 'NR > 1 { print $1 }' | sort >"$work/checks"
for first in "check web.jsonl" "check --live vm1" "hooks web.jsonl idt"; do
	completes "$rf" $first '' | cmp -s - "$work/checks" && [ -s "$work/checks" ] && ok || bad "not the checks that there are, behind $first"
done
offers completion-check-name 'idt inodes input-handlers interrupt-actions' "$rf" check web.jsonl i
offers completion-diff 'web.jsonl web.yaml' ringfence check posture web.jsonl --diff ''
offers completion-dump-alone '' ringfence disas web.jsonl ''
offers completion-nothing '' ringfence policy keys ''
offers completion-no-command '' ringfence frobnicate -x
cd "$here" || exit 1
# As bash itself asks for it.
name=completion-loads; bash --norc -c '. "$1" && complete -p ringfence' bash "$script" >"$out" 2>"$err"
grep -q -- '-F _ringfence ringfence' "$out" && ok || bad "bash does not know it"
fi
