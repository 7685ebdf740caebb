// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/module/rf_attack/parameters/smi: written, that many system management interrupts; read, how
 * many this processor has had (MSR_SMI_COUNT, kvm_get_msr_common() in arch/x86/kvm/x86.c). From
 * ring 0: a program's access to a port faults in the emulated host, whatever ioperm() said.
 */
#include <asm/io.h>
#include <linux/kernel.h>
#include <linux/moduleparam.h>

#include "compat.h"

/* The southbridge's APM control port: ICH9 datasheet, 13.7.1. */
#define APM_CONTROL 0xb2

static int raise(const char *text, const struct kernel_param *param)
{
	unsigned int count;
	int err = kstrtouint(text, 0, &count);

	for (unsigned int i = 0; !err && i < count && i < 1000; i++)
		outb(0, APM_CONTROL);
	return err;
}

static int show(char *text, const struct kernel_param *param)
{
	u64 count = 0;

	rdmsrl_safe(MSR_SMI_COUNT, &count);
	return scnprintf(text, PAGE_SIZE, "%llu\n", count);
}

static const struct kernel_param_ops ops = { .set = raise, .get = show };
module_param_cb(smi, &ops, NULL, 0600);
