# SPDX-License-Identifier: LGPL-2.1-or-later
# Sourced by init for rf.mode=life: one event in a guest's life (rf.act=...), then attacks that must fail. Beside init only
# in the initramfs that lifecycle.py makes.
extra() { for module in /extra/*"$1".ko; do insmod "$module" || say "life $module did not load"; done; }

# The host's files, one on each disk: the one with a boot sector's signature is a kernel.
from_disks() {
	for module in /modules/*.ko; do insmod "$module"; done
	kernel=/dev/vda initrd=/dev/vdb
	[ "$(dd if=/dev/vda bs=1 skip=514 count=4 2>/dev/null)" = HdrS ] || kernel=/dev/vdb initrd=/dev/vda
	cat $kernel >/tmp/kernel && cat $initrd >/tmp/initrd
}

offline_online() {
	for round in 1 2 3; do
		echo 0 >/sys/devices/system/cpu/cpu1/online && echo 1 >/sys/devices/system/cpu/cpu1/online || return 1
	done
	# From there: the processor that came back is pinned as well.
	taskset -p 2 $$ >/dev/null
}

smis() {
	count=/sys/module/rf_attack/parameters/smi
	# All on one processor, whose count it is.
	taskset -p 1 $$ >/dev/null
	insmod /rf_attack.ko
	before=$(cat $count)
	echo 20 >$count
	say "life smis before=$before after=$(cat $count)"
	rmmod rf_attack
}

# The clock chip's alarm is not needed: the host wakes the guest.
suspend() {
	say "life $(cat /sys/power/mem_sleep)"
	echo mem >/sys/power/state
}

attack() {
	insmod /rf_attack.ko "patience=$(option patience 60)"
	echo "$1" >/proc/rf_attack
	say "$(helper last)"
	rmmod rf_attack
}

# The same, with a store that is made on the way.
asleep() { attack asleep; }
s3_forged_state() { attack s3_forged_state; }

# For the monitor that reads the kernel again when it wakes up.
fake_kallsyms_s3() { attack fake_kallsyms; suspend; }

# While the host moves the guest to another VMM.
dma_then_migrate() {
	disk_on_pci
	attack dma_then_migrate
}

# On the processor that a reset is known by.
restore_lstar_zero() {
	taskset -p 1 $$ >/dev/null
	attack restore_lstar_zero
}

kexec_now() { from_disks && life kexec now /tmp/kernel /tmp/initrd "$(option next | tr , ' ')" && say "life loaded" && life reboot; }

# On the processor that the first kernel did not come up on.
kexec_crash() {
	taskset -p 2 $$ >/dev/null
	from_disks && life kexec crash /tmp/kernel /tmp/initrd "$(option next | tr , ' ')" && say "life loaded" || return 1
	echo c >/proc/sysrq-trigger
}

guests() {
	extra irqbypass; extra ccp; extra kvm; extra kvm-amd; extra kvm-intel
	for round in 1 2 3; do say "life $(life nested 2>&1)"; done
}

disk_on_pci() {
	for module in /modules/*.ko; do insmod "$module"; done
	extra virtio_pci_modern_dev; extra virtio_pci_legacy_dev; extra virtio_pci
	for n in $(seq 50); do [ -b /dev/vda ] && break; sleep 0.1; done
}

# The boot counter is on a disk, which a reset leaves alone. Not in the clock's memory: see smi.c of the attack module.
restart() {
	disk_on_pci
	count=$(($(head -c 1 /dev/vda | tr -dc 0-9) + 1))
	echo $count >/dev/vda
	sync
	say "life boot $count"
	[ $count -eq 2 ] && return
	echo "$(option type triple)" >/sys/kernel/reboot/type
	reboot -f
}

debugged() {
	say "life at $(sed -n 's/ . do_sys_openat2$//p' /proc/kallsyms)"
	ticks
}

ticks() { for n in $(seq "$(option ticks 10)"); do say "life tick $n"; sleep 1; done; }

rest_of_system
export PATH=/bin:/extra
say "life begin"
$(option act ticks) || say "life failed"
say "life over"
attacks lstar_after_seal,msr_star,syscall_table
say "done mode=$mode status=0"
poweroff -f
