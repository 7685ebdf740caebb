// SPDX-License-Identifier: GPL-2.0-only
/*
 * In by the front door, as rootkits come today: a handler of this module's registered with what the
 * kernel has for tracers. Nothing is forged, all of it is patched by the kernel itself, and the
 * handler is called.
 */
#include <linux/delay.h>
#include <linux/fprobe.h>
#include <linux/ftrace.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/static_call.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

#include "poke.h"

/* What is hooked: exported, small, and called by nobody but us. */
#define HOOKED "sprint_symbol"
/* Seconds, where the host does not say what is on record. Hooks are looked at each second; and three times, before a function is
 * said to call what is on no list. */
#define STAYS_S 4
#define STAYS_UNLISTED_S 20

static unsigned int calls;

static void call_hooked(void)
{
	char text[KSYM_SYMBOL_LEN];

	sprint_symbol(text, (unsigned long)sprint_symbol);
}

/* Registered with this result, the handler is called and stays for a while. */
static bool stays(struct rf_report *r, const char *symbol, int err)
{
	u8 *at = rf_symbol(symbol);

	if (err || !at) {
		rf_say(r, "err=%d", err);
		rf_skip(r, at ? "it could not be registered" : "no such symbol");
		return false;
	}
	r->symbol = symbol;
	r->offset = 0;
	r->at = at;
	r->len = 16; /* an endbr64 stands before a function's own patch site */
	calls = 0;
	call_hooked();
	rf_until_told(r, r->at, r->len, NULL, STAYS_S);
	/* Who is told of may not have been called yet. */
	for (unsigned int i = 0; i < STAYS_S * 10 && !READ_ONCE(calls); i++)
		msleep(100);
	r->outcome = READ_ONCE(calls) ? RF_LANDED : RF_UNCHANGED;
	rf_say(r, "calls=%u", calls);
	return true;
}

#ifdef CONFIG_DYNAMIC_FTRACE_WITH_ARGS
static void notrace on_entry(unsigned long ip, unsigned long parent, struct ftrace_ops *ops,
			     struct ftrace_regs *regs)
{
	calls++;
}

void attack_hook_ftrace(struct rf_report *r)
{
	static struct ftrace_ops ops = { .func = on_entry };
	unsigned long at = (unsigned long)rf_symbol(HOOKED);
	int err = ftrace_set_filter_ip(&ops, at, 0, 0);

	if (!err)
		err = register_ftrace_function(&ops);
	if (stays(r, HOOKED, err))
		unregister_ftrace_function(&ops);
	ftrace_set_filter_ip(&ops, at, 1, 0);
}
#else
void attack_hook_ftrace(struct rf_report *r)
{
	rf_skip(r, "this kernel has no ftrace for modules");
}
#endif

#ifdef CONFIG_FPROBE
/* What kernels give it as registers differs, and is not looked at. */
static int on_fprobe(struct fprobe *probe, unsigned long ip, unsigned long back, void *regs,
		     void *data)
{
	calls++;
	return 0;
}

void attack_hook_fprobe(struct rf_report *r)
{
	static struct fprobe probe;
	unsigned long at = (unsigned long)rf_symbol(HOOKED);

	probe = (struct fprobe){ .entry_handler = (void *)on_fprobe };
	if (stays(r, HOOKED, register_fprobe_ips(&probe, &at, 1)))
		unregister_fprobe(&probe);
}
#else
void attack_hook_fprobe(struct rf_report *r)
{
	rf_skip(r, "this kernel has no fprobes");
}
#endif

static int on_probe(struct kprobe *p, struct pt_regs *regs)
{
	calls++;
	return 0;
}

void attack_hook_kprobe(struct rf_report *r)
{
	static struct kprobe probe;

	probe = (struct kprobe){ .symbol_name = HOOKED, .pre_handler = on_probe };
	if (stays(r, HOOKED, register_kprobe(&probe)))
		unregister_kprobe(&probe);
}

static int on_return(struct kretprobe_instance *i, struct pt_regs *regs)
{
	calls++;
	return 0;
}

void attack_hook_kretprobe(struct rf_report *r)
{
	static struct kretprobe probe;

	probe = (struct kretprobe){ .kp.symbol_name = HOOKED,
				    .handler = on_return,
				    .maxactive = 4 };
	if (stays(r, HOOKED, register_kretprobe(&probe)))
		unregister_kretprobe(&probe);
}

static void on_switch(void *data)
{
	calls++;
}

static void find_switch(struct tracepoint *tp, void *out)
{
	if (!strcmp(tp->name, "sched_switch"))
		*(struct tracepoint **)out = tp;
}

void attack_hook_tracepoint(struct rf_report *r)
{
	struct tracepoint *tp = NULL;

	for_each_kernel_tracepoint(find_switch, &tp);
	if (!tp)
		return rf_skip(r, "no such tracepoint");
	if (!stays(r, "__tracepoint_sched_switch", tracepoint_probe_register(tp, on_switch, NULL)))
		return;
	tracepoint_probe_unregister(tp, on_switch, NULL);
	tracepoint_synchronize_unregister();
}

static int (*real_resched)(void);

static int on_resched(void)
{
	calls++;
	return real_resched();
}

void attack_hook_static_call(struct rf_report *r)
{
	struct static_call_key *key = rf_symbol("__SCK__cond_resched");
	void *trampoline = rf_symbol("__SCT__cond_resched");

	if (!key || !trampoline)
		return rf_skip(r, "this kernel does not call cond_resched() by a static call");
	real_resched = key->func;
	__static_call_update(key, trampoline, on_resched);
	stays(r, "__SCK__cond_resched", 0);
	__static_call_update(key, trampoline, real_resched);
	ssleep(1); /* who is in it leaves */
}

#ifdef CONFIG_DYNAMIC_FTRACE_WITH_ARGS
/* Put into the list by hand, it says that it is the kernel's own; what is called is its trampoline,
 * code of this module. */
static bool forge_ops(struct rf_report *r, struct ftrace_ops *ops, struct ftrace_ops ***list)
{
	u8 forged[RF_INSN];

	*list = rf_symbol("ftrace_ops_list");
	if (!*list)
		rf_skip(r, "no list of tracers");
	if (!*list || !rf_ftrace_site(r, "int_pow") || !rf_poke_begin(r))
		return false;
	*ops = (struct ftrace_ops){ .func = rf_symbol("ftrace_stub"),
				    .trampoline = (unsigned long)rf_forged,
				    .next = **list };
	smp_store_release(*list, ops);
	rf_branch(forged, CALL_INSN_OPCODE, r->at, rf_forged);
	rf_text_poke_bp(r->at, forged, RF_INSN, NULL);
	return true;
}

static void judge_ops(struct rf_report *r, const char *what, unsigned int stays)
{
	rf_until_told(r, rf_forged, 1, what, stays);
	rf_power();
	r->outcome = rf_forged_ran() ? RF_LANDED : RF_UNCHANGED;
	rf_text_poke_bp(r->at, rf_nop, RF_INSN, NULL);
	rf_poke_end(r);
	/* Whom the record names: it filters no function. */
	r->symbol = "[rf_attack]";
	r->at = (u8 *)rf_forged;
}

void attack_forged_ops(struct rf_report *r)
{
	static struct ftrace_ops ops;
	struct ftrace_ops **list;

	if (!forge_ops(r, &ops, &list))
		return;
	judge_ops(r, NULL, STAYS_S);
	WRITE_ONCE(*list, ops.next);
}

/* And taken out again, while the function still calls it. */
void attack_unlisted_ops(struct rf_report *r)
{
	static struct ftrace_ops ops;
	struct ftrace_ops **list;

	if (!forge_ops(r, &ops, &list))
		return;
	WRITE_ONCE(*list, ops.next);
	judge_ops(r, "unlisted", STAYS_UNLISTED_S);
}
#else
void attack_forged_ops(struct rf_report *r)
{
	rf_skip(r, "this kernel has no ftrace for modules");
}

void attack_unlisted_ops(struct rf_report *r)
{
	rf_skip(r, "this kernel has no ftrace for modules");
}
#endif
