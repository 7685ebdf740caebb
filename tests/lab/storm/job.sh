# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# Runs on the KVM host, after storm.py's lines that set kernel, side (unsealed or sealed) and options. After each line
# about a step the guest waits until it gets a line itself: in between the counters are read. $OUT/samples gets two
# lines each time: "@ LINE" and the monitor's status, which is empty without protection.
: "${kernel:?}" "${side:?}" "${options:?}"
case $side in
sealed)
	# Whose code is called by what the storm patches: what else is, is an alert.
	# Decoys are compared less often: in the emulated host that takes a third of its processor, and no device writes here.
	printf 'version: 1\ndma_sweep_ms: 10000\npatches: { bpf: allow, owners: [ rf_livepatch ] }\n' >policy
	WRAP="ringfence run --name storm --policy policy --audit $OUT/audit.jsonl --"
	;;
*) WRAP= ;;
esac
export WRAP
mkfifo in
exec 3<>in
INITRD=./initrd LIMIT=86400 debian "$kernel" 2 "$options" <in 2>&1 | while read -r line; do
	echo "$line" >>"$OUT/console"
	case $line in
	*"RF: storm "*)
		line="RF: storm ${line#*RF: storm }"
		echo "$line"
		echo "@ $line" >>"$OUT/samples"
		[ -z "$WRAP" ] || ringfence status --json storm | tr -d '\n' >>"$OUT/samples"
		echo >>"$OUT/samples"
		echo >&3
		;;
	*BUG* | *WARNING* | *Oops* | *panic* | *ringfence:*) echo "$line" ;;
	esac
done
