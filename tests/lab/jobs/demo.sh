# SPDX-License-Identifier: LGPL-2.1-or-later
# The main job as a user would do it: a stock guest attacks its kernel under protection; the log tells what happened.
# First the same guest without protection: an attack that fails anyway would prove nothing.
echo "the control: the same stock guest, not protected, attacks its system call table"
l2 6.12 1 rf.mode=demo | tee "$OUT/control" | grep -a "RF: attack"
grep -q "result=landed" "$OUT/control" || { echo "the control attack did not land: the demo proves nothing"; exit 1; }
echo "the attack LANDED: an unprotected kernel's system call table was changed"
echo
ringfence demo --kernel "$GUEST/6.12/vmlinuz" --initrd "$GUEST/6.12/initrd"
