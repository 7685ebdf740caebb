# SPDX-License-Identifier: LGPL-2.1-or-later
# What job scripts may use, in the emulated host and natively alike.
#   $QEMU       the stock VMM           $GUEST/<kernel>/{vmlinuz,initrd,arguments}   the guests
#   $OUT        artefacts go here       $LAB_MODE  native | emulated
#   $DEBIAN     the Debian guest's disk, for jobs that say that they boot it
#   $PATIENCE   limits are given as what a machine of the usual speed needs; this many times that is what a slow one gets
: "${PATIENCE:=1}" "${QEMU:=qemu-system-x86_64}" "${GUEST:=/guest}" "${LAB_MODE:=emulated}" "${DEBIAN:=/dev/vda}"
export QEMU GUEST LAB_MODE DEBIAN

# limited SECONDS COMMAND...: what hangs is killed.
limited() {
	limited_seconds=$(($1 * PATIENCE))
	shift
	timeout -s KILL $limited_seconds "$@"
}

# tries N: to count a loop by that waits for something.
tries() {
	seq $(($1 * PATIENCE))
}

# l2 KERNEL CPUS CMDLINE [QEMU arguments]: boot a stock guest, console on standard output, until it ends.
# $WRAP goes in front of the QEMU line: WRAP="ringfence run --name x --" l2 6.12 1 rf.mode=demo
# $MACHINE adds machine properties, $BOARD is another machine than microvm, as pc or q35 with firmware and PCI (and no disk),
# $MEMORY is in MiB, $LIMIT in seconds; $INITRD is another initramfs; DISK=FILE gives it a virtio disk, made when it is not
# there; REBOOT=1 lets the guest reboot instead of ending there. reboot=t: microvm has no other way to be reset, and a kernel
# that has tried them all jumps into the firmware instead, where the guest may stop for good. rtc=on: for a clock that is not
# there a kernel looks in a loop, as long as all the rest of its boot takes.
l2() {
	l2_kernel=$1 l2_cpus=$2 l2_cmdline=$3
	shift 3
	l2_machine=${BOARD:-microvm,pit=off,pic=off,isa-serial=on,rtc=on}
	[ -n "${REBOOT:-}" ] || set -- -no-reboot "$@"
	if [ -n "${DISK:-}" ]; then
		[ -e "$DISK" ] || truncate -s 1M "$DISK"
		set -- -drive "id=disk,file=$DISK,format=raw,if=none" -device virtio-blk-device,drive=disk "$@"
	fi
	limited "${LIMIT:-100}" $WRAP $QEMU -M "$l2_machine${MACHINE:+,$MACHINE}" -accel kvm -cpu host \
		-smp "$l2_cpus" -m "${MEMORY:-256}" -nodefaults -display none -serial stdio \
		-kernel "$GUEST/$l2_kernel/vmlinuz" -initrd "${INITRD:-$GUEST/$l2_kernel/initrd}" \
		-append "console=ttyS0 quiet panic=-1 tsc=reliable no_timer_check reboot=t $(cat "$GUEST/$l2_kernel/arguments") $l2_cmdline" "$@"
}

# debian KERNEL CPUS CMDLINE [QEMU arguments]: boot the whole Debian, console on standard output, until it ends. What it
# writes to its disk is gone then. $WRAP, $MEMORY, $LIMIT and $BOARD as above;
# $INITRD is an initramfs with files for it (debian.py), $SERIAL another place for the console. With CPU=host it also sees
# virtualisation, and its udev loads kvm. A kernel waits for the clock that a microvm has not: for minutes where it is slow.
debian() {
	debian_kernel=$1 debian_cpus=$2 debian_cmdline=$3
	shift 3
	debian_machine=microvm,pit=off,pic=off,rtc=on,isa-serial=on debian_bus=device
	[ -z "${BOARD:-}" ] || debian_machine=$BOARD debian_bus=pci
	limited "${LIMIT:-200}" $WRAP $QEMU -M "$debian_machine" -accel kvm -cpu "${CPU:-host,-svm,-vmx}" \
		-smp "$debian_cpus" -m "${MEMORY:-768}" -nodefaults -no-user-config -display none -no-reboot \
		-serial "${SERIAL:-stdio}" -kernel "$GUEST/$debian_kernel/vmlinuz" \
		-initrd "${INITRD:-$GUEST/$debian_kernel/debian}" \
		-drive "id=disk,file=$DEBIAN,format=raw,if=none,snapshot=on" -device "virtio-blk-$debian_bus,drive=disk" \
		-append "console=ttyS0 quiet panic=-1 tsc=reliable no_timer_check reboot=t $(cat "$GUEST/$debian_kernel/arguments") $debian_cmdline" "$@"
}
