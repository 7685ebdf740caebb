// SPDX-License-Identifier: GPL-2.0-only
/*
 * The attack module's interface.
 *
 * /proc/rf_attack		read: the names of those that any guest may run; write: run the one named, or tell how user space's part went;
 *				mmap: the page that user space attacks
 * /proc/rf_attack_last		the last result, one line:
 *				attack NAME result=R target=SYMBOL+OFF va=A pa=P len=N detail=TEXT
 * Parameter attack=NAME runs one at once: a guest whose first act is to load this module needs nothing else.
 */
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/proc_fs.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "attacks.h"
#include "registers.h"

static char *attack;
module_param(attack, charp, 0);
MODULE_PARM_DESC(attack, "an attack to run at once");

unsigned int rf_patience = 5;
module_param_named(patience, rf_patience, uint, 0600);
MODULE_PARM_DESC(patience, "seconds to wait for what was left wrong to be undone");

static bool tells;
module_param(tells, bool, 0);
MODULE_PARM_DESC(tells, "parameter told says what is on record");

/* Addresses, the last ones, and how the record's detail begins. */
#define TOLD 32u
#define TOLD_S 120 /* whatever is not told by then never will be */
static struct {
	u64 at;
	char what[16];
} told[TOLD];
static unsigned int told_count, told_before; /* all, and those that this attack waits for no more */

static int add_told(const char *text, const struct kernel_param *kp)
{
	unsigned int i = told_count % TOLD;

	if (sscanf(text, "%llx %15s", &told[i].at, told[i].what) != 2)
		return -EINVAL;
	smp_store_release(&told_count, told_count + 1);
	return 0;
}

static const struct kernel_param_ops told_ops = { .set = add_told };
module_param_cb(told, &told_ops, NULL, 0200);
MODULE_PARM_DESC(told, "an address that is on record, and how the record's detail begins");

static bool is_told(unsigned long at, unsigned int len, const char *what)
{
	unsigned int count = smp_load_acquire(&told_count);

	for (unsigned int i = max(told_before, count - min(count, TOLD)); i < count; i++) {
		if (told[i % TOLD].at - at < len && (!what || !strcmp(told[i % TOLD].what, what))) {
			told_before = i + 1;
			return true;
		}
	}
	return false;
}

void rf_until_told(struct rf_report *r, const void *at, unsigned int len, const char *what, unsigned int seconds)
{
	u64 began = ktime_get_ns();
	bool is = false;

	if (!tells)
		return ssleep(min(rf_patience, seconds));
	for (unsigned int i = 0; i < TOLD_S * 10 && !is; i++) {
		msleep(100);
		is = is_told((unsigned long)at, len, what);
	}
	if (is)
		rf_say(r, "told=%llums", (ktime_get_ns() - began) / NSEC_PER_MSEC);
	else
		rf_say(r, "told=never");
}

struct rf_attack {
	const char *name;
	void (*run)(struct rf_report *r);
};

#define RF(name) { #name, attack_##name },
static const struct rf_attack attacks[] = { RF_ATTACKS(RF) RF_ATTACKS_ALONE(RF) };
#undef RF

#define RF(name) #name "\n"
static const char listed[] = RF_ATTACKS(RF);
#undef RF

static const char *const outcomes[] = {
	[RF_NONE] = "none",
	[RF_LANDED] = "landed",
	[RF_FAULTED] = "faulted",
	[RF_UNCHANGED] = "unchanged",
	[RF_RESTORED] = "restored",
	[RF_SKIPPED] = "skipped",
};

static DEFINE_MUTEX(lock);
static struct rf_report report;
static char last[700];

static void publish(void)
{
	scnprintf(last, sizeof(last), "attack %s result=%s target=%s+0x%lx va=0x%lx pa=0x%llx len=%u detail=%s\n",
		  report.name, outcomes[report.outcome], report.symbol ?: "?", report.offset, (unsigned long)report.at,
		  report.at ? PFN_PHYS(page_to_pfn(rf_page(report.at))) + offset_in_page(report.at) : 0ULL, report.len,
		  report.detail[0] ? report.detail : "-");
}

void rf_announce(void)
{
	publish();
	/* The line of the attack before is user space's, on the same console, and may be on its way. */
	ssleep(1);
	pr_emerg("RF: %s", last);
}

static int run(const char *name)
{
	u64 began;

	for (unsigned int i = 0; i < ARRAY_SIZE(attacks); i++) {
		if (strcmp(attacks[i].name, name))
			continue;
		memset(&report, 0, sizeof(report));
		report.name = attacks[i].name;
		told_before = smp_load_acquire(&told_count);
		began = ktime_get_ns();
		attacks[i].run(&report);
		rf_say(&report, "ns=%llu", ktime_get_ns() - began);
		publish();
		return 0;
	}
	return -ENOENT;
}

static ssize_t attack_write(struct file *file, const char __user *text, size_t size, loff_t *pos)
{
	char command[64], *name, *how;
	int err = 0;

	if (size >= sizeof(command))
		return -EINVAL;
	if (copy_from_user(command, text, size))
		return -EFAULT;
	command[size] = '\0';
	how = strim(command);
	name = strsep(&how, " ");
	mutex_lock(&lock);
	if (how) {
		rf_user_alias_done(&report, how);
		publish();
	} else {
		err = run(name);
	}
	mutex_unlock(&lock);
	return err ?: (ssize_t)size;
}

static ssize_t attack_read(struct file *file, char __user *to, size_t size, loff_t *pos)
{
	return simple_read_from_buffer(to, size, pos, listed, sizeof(listed) - 1);
}

static ssize_t last_read(struct file *file, char __user *to, size_t size, loff_t *pos)
{
	return simple_read_from_buffer(to, size, pos, last, strlen(last));
}

static int attack_mmap(struct file *file, struct vm_area_struct *vma)
{
	return rf_user_alias_mmap(vma);
}

static const struct proc_ops attack_ops = {
	.proc_read = attack_read,
	.proc_write = attack_write,
	.proc_mmap = attack_mmap,
};

static const struct proc_ops last_ops = {
	.proc_read = last_read,
};

static int __init rf_attack_init(void)
{
	int err = rf_steps_init();

	if (!err && attack) {
		err = run(attack);
		if (err)
			rf_steps_exit();
	}
	if (err)
		return err;
	if (!proc_create("rf_attack", 0600, NULL, &attack_ops) || !proc_create("rf_attack_last", 0400, NULL, &last_ops)) {
		remove_proc_entry("rf_attack", NULL);
		rf_steps_exit();
		return -ENOMEM;
	}
	return 0;
}

static void __exit rf_attack_exit(void)
{
	remove_proc_entry("rf_attack", NULL);
	remove_proc_entry("rf_attack_last", NULL);
	rf_steps_exit();
}

module_init(rf_attack_init);
module_exit(rf_attack_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("ringfence test attacks");
