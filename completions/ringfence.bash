# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion for ringfence(1). `make cli-test` compares it with the commands' own tables.

_ringfence_commands="run list status gadgets measure audit policy stop watch check hooks ps modules symbols disas pagetable print dump doctor demo"

# Of a command: its options, with the dashes.
_ringfence_options() {
	case $1 in
	run) echo "--name --policy --policy-key --expect --audit --audit-key --state --kvm --pass-fd --start-timeout --monitor-timeout --messages-fd" ;;
	list) echo "--json --state-base" ;;
	status | measure | dump) echo "--json" ;;
	stop) echo "--wait" ;;
	gadgets) echo "--all --json" ;;
	audit) echo "--follow --lines --since --alerts --verdict --rule --symbol --key --format --moved --json" ;;
	policy) echo "--json --line --key --serial --valid-for" ;;
	watch) echo "--socket --group --per-user --kvm" ;;
	hooks) echo "--all --known --raw --live --json" ;;
	check) echo "--known --list --live --diff --raw --json" ;;
	ps) echo "--threads --raw --live --json" ;;
	modules | symbols | disas | pagetable) echo "--raw --live --json" ;;
	print) echo "--depth --raw --live --json" ;;
	doctor) echo "--json --kvm" ;;
	demo) echo "--kernel --initrd --qemu --timeout --json" ;;
	esac
}

# What follows an option: file, dir, policy, format, command, verdict, none; "" it takes no value.
_ringfence_value() {
	case $1 in
	--policy | -p) echo policy ;;
	--format | -F) echo format ;;
	--policy-key | --expect | -e | --audit | -a | --audit-key | --key | --kvm | --socket | --diff | --kernel | --initrd | -k | -i) echo file ;;
	--state | -s | --state-base) echo dir ;;
	--qemu | -q) echo command ;;
	--verdict) echo verdict ;;
	--known | --depth | --name | --group | --per-user | --since | --rule | --symbol | --start-timeout | --monitor-timeout | --pass-fd | --messages-fd | --lines | --line | --serial | --valid-for | --timeout | --wait | -w | -n | -t | -l) echo none ;;
	esac
}

# Only of a folder that is this user's, and names as a VM may have: compgen expands what it is given.
_ringfence_vms() {
	local user base dir
	user=$(id -u)
	base=/tmp/ringfence-$user
	[ -O "/run/user/$user" ] && base=/run/user/$user/ringfence
	[ -n "${XDG_RUNTIME_DIR:-}" ] && base=$XDG_RUNTIME_DIR/ringfence
	[ "$user" = 0 ] && base=/run/ringfence
	[ -O "$base" ] || return
	for dir in "$base"/*/; do
		dir=$(basename "$dir")
		case $dir in *[!A-Za-z0-9_.-]*) ;; *) echo "$dir" ;; esac
	done
}

_ringfence_words() { COMPREPLY+=($(compgen -W "$1" -- "$cur")); }
_ringfence_files() { compopt -o filenames 2>/dev/null; COMPREPLY+=($(compgen -f -- "$cur")); }

_ringfence_complete_value() {
	case $1 in
	policy) _ringfence_words "default observe strict"; _ringfence_files ;;
	format) _ringfence_words "ocsf ecs falco cef syslog journal" ;;
	file) _ringfence_files ;;
	dir) compopt -o filenames 2>/dev/null; COMPREPLY+=($(compgen -d -- "$cur")) ;;
	verdict) _ringfence_words "allowed blocked undone detected" ;;
	command) COMPREPLY+=($(compgen -c -- "$cur")) ;;
	esac
}

# An operand: $1 the command, $2 the operand before it, or --live where it is a VM, $3 how many there are, $4 the first one.
_ringfence_operand() {
	case $1:$3:$2 in
	run:0:*) COMPREPLY+=($(compgen -c -- "$cur")) ;;
	status:0:* | gadgets:0:* | measure:0:* | stop:0:* | dump:0:*) _ringfence_words "$(_ringfence_vms)"; _ringfence_files ;;
	dump:1:*) _ringfence_files ;;
	dump:*) ;;
	*:0:--live | *:1:--live) _ringfence_words "$(_ringfence_vms)" ;;
	check:0:*) _ringfence_words posture; _ringfence_files ;;
	check:1:posture) _ringfence_files ;;
	check:[1-9]* | hooks:[1-9]*) [ "$4" = posture ] || _ringfence_words "$("${COMP_WORDS[0]}" check --list 2>/dev/null | awk 'NR > 1 { print $1 }')" ;;
	hooks:0:* | ps:0:* | modules:0:* | symbols:0:* | disas:0:* | pagetable:0:* | print:0:*) _ringfence_files ;;
	ps:* | modules:* | symbols:* | disas:* | pagetable:* | print:*) ;;
	audit:0:*) _ringfence_words "tail patches verify export rotate keygen" ;;
	policy:0:*) _ringfence_words "check keys show reload sign explain test" ;;
	policy:*:show) _ringfence_words "default observe strict $(_ringfence_vms)"; _ringfence_files ;;
	policy:*:keys | list:* | watch:* | doctor:* | demo:*) ;;
	policy:1:reload | policy:1:sign) _ringfence_words "$(_ringfence_vms)" ;;
	policy:1:*) _ringfence_words "default observe strict"; _ringfence_files ;;
	*) _ringfence_words "$(_ringfence_vms)"; _ringfence_files ;;
	esac
}

_ringfence() {
	local cur=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} before= first= live= operands=0 i word value
	COMPREPLY=()
	if [ "$COMP_CWORD" = 1 ]; then
		_ringfence_words "$_ringfence_commands --help --version"
		return
	fi
	for ((i = 2; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		# The VMM's own command line: any files.
		if [ "$command" = run ] && { [ "$word" = -- ] || [ "$operands" != 0 ]; }; then
			[ "$word" = -- ] && [ $((i + 1)) = "$COMP_CWORD" ] && break
			_ringfence_files
			return
		fi
		[ "$word" = --live ] && live=yes
		value=$(_ringfence_value "$word")
		if [ "${word#-}" = "$word" ]; then
			operands=$((operands + 1)) before=$word first=${first:-$word}
		elif [ -n "$value" ] && [ "$command:$word" != gadgets:-a ]; then
			i=$((i + 1))
			[ "$i" = "$COMP_CWORD" ] && { _ringfence_complete_value "$value"; return; }
		fi
	done
	case $cur in
	-*) _ringfence_words "$(_ringfence_options "$command") --help" ;;
	*)
		[ "$live:$operands:$before" = yes:0: ] || [ "$live:$operands:$before" = yes:1:posture ] && before=--live
		_ringfence_operand "$command" "$before" "$operands" "$first"
		;;
	esac
}

complete -F _ringfence ringfence
