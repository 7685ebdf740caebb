# SPDX-License-Identifier: LGPL-2.1-or-later
# Part of run.sh: files that are not the caller's to read. Whoever may have root's `ringfence` look at one (sudo) may
# not learn what stands in it: each command that takes a file gets some that are none, and tells no word of them.
secret=Hunter2secret # in each of them, wherever something stands
hidden=$work/hidden
mkdir "$hidden"
printf 'root:$y$j9T$%s:19700:0:99999:7:::\ndaemon:*:19700:0:99999:7:::\n%s:!:1::::::\n' $secret $secret >"$hidden/shadow"
printf -- '-----BEGIN %s KEY-----\n%sAAAA\n-----END %s KEY-----\n' $secret $secret $secret >"$hidden/pem"
printf 'PASSWORD=%s\n%s: %s\nversion: %s\n' $secret $secret $secret $secret >"$hidden/env"
printf '{"%s": "%s", "version": "%s"}\n["%s"]\n' $secret $secret $secret $secret >"$hidden/json"
printf 'version: 1\nmode: %s\nseal: { %s: true }\n%s: [ %s ]\n' $secret $secret $secret $secret >"$hidden/yaml"
printf 'PRIVATE+KEY+%s+00000000+%s\n' $secret $secret >"$hidden/key"
printf '%s\n\n\342\200\224 %s %s\n' $secret $secret $secret >"$hidden/note"
printf '\001\002%s\000%s\377\n' $secret $secret >"$hidden/noise"
printf 'version: 1\n' >"$work/good.yaml"
"$rf" audit keygen web "$work/good.key" >/dev/null 2>&1

# keeps NAME COMMAND...: it fails, and says nothing that stands in the file.
keeps() {
	name=secret-$1; shift
	timeout 60 "$@" >"$out" 2>"$err" </dev/null
	code=$?
	if [ $code = 0 ]; then
		bad "it was taken"
	elif grep -a -i -q hunter "$out" "$err"; then
		bad "it tells what stands in the file"
	elif ! [ -s "$out" ] && ! [ -s "$err" ]; then
		bad "it says nothing at all"
	else
		ok
	fi
}

for f in shadow pem env json yaml key note noise; do
	file=$hidden/$f
	keeps $f-run-policy $run --policy "$file" -- "$work/bin/vmm" 0
	keeps $f-run-expect $run --expect "$file" -- "$work/bin/vmm" 0
	keeps $f-run-audit-key $run --audit-key "$file" -- "$work/bin/vmm" 0
	keeps $f-run-policy-key $run --policy-key "$file" -- "$work/bin/vmm" 0
	keeps $f-check "$rf" policy check "$file"
	keeps $f-check-json "$rf" policy check --json "$file"
	keeps $f-show "$rf" policy show "$file"
	keeps $f-explain "$rf" policy explain "$file" "$file"
	keeps $f-test "$rf" policy test "$file" "$file"
	keeps $f-sign "$rf" policy sign --key "$file" web "$work/good.yaml"
	keeps $f-sign-file "$rf" policy sign --key "$work/good.key" web "$file"
	keeps $f-reload "$rf" policy reload --state "$work/state" web "$file"
	keeps $f-verify "$rf" audit verify "$file"
	keeps $f-verify-json "$rf" audit verify --json "$file"
	keeps $f-verify-key "$rf" audit verify --key "$file" "$file"
done
# What shows records shows none, and says how many lines are none; that is no error. An object of JSON is a record, to
# `export` one of a kind that it does not know: what logs say is what that command is for.
for f in shadow pem env json yaml key note noise; do
	for command in "audit tail" "audit patches" "audit export --format ecs" "audit export --format json" \
		"policy test $work/good.yaml" "policy explain $work/good.yaml"; do
		case $f-$command in json-*export*) continue ;; esac
		name="secret-$f-$command"
		timeout 60 "$rf" $command "$hidden/$f" >"$out" 2>"$err" </dev/null
		if grep -a -i -q hunter "$out" "$err"; then bad "it tells what stands in the file"; else ok; fi
	done
done
