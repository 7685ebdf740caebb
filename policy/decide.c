// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <string.h>

#include "policy/policy.h"

#define ANY (-1)
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* What a row says before mode and on_denied have their say. */
enum stance {
	LEGAL,
	DENIED,
	DENIED_ALWAYS, /* nothing could be applied, so observing denies it too */
	UNDONE,	       /* it is undone already; observing does it again */
	LATE,	       /* the same, but something ran in between */
	FOUND_WAITING, /* found afterwards, and can be put back: an event waits */
	TOLD,	       /* it is let be, and recorded */
	FOUND, /* it never reached the guest, and was found afterwards: no event waits for an end */
	NOT_OURS,
};

/* The first row that fits decides. There is no row that fits everything: what is left over is
 * undecided. */
static const struct row {
	enum rf_fact_kind kind;
	int region, patch, msr;
	enum stance stance;
	const char *rule;
} rows[] = {
	/* Both regions hold only what the kernel itself promised never to write again. */
	{ RF_FACT_WRITE, RF_FACT_REGION_RODATA, ANY, ANY, DENIED, "rodata-is-never-written" },

	/* set_memory_ro() in idt_setup_apic_and_irq_gates(), arch/x86/kernel/idt.c */
	{ RF_FACT_WRITE, RF_FACT_REGION_IDT, ANY, ANY, DENIED, "idt-is-never-written" },

	{ RF_FACT_WRITE, RF_FACT_REGION_TEXT, RF_FACT_PATCH_STEP, ANY, LEGAL,
	  "text-patch-legal-step" },
	{ RF_FACT_WRITE, RF_FACT_REGION_TEXT, RF_FACT_PATCH_DONE, ANY, LEGAL,
	  "text-patch-legal-instruction" },
	{ RF_FACT_WRITE, RF_FACT_REGION_TEXT, RF_FACT_PATCH_NOT_A_SITE, ANY, DENIED,
	  "text-not-a-patch-site" },
	{ RF_FACT_WRITE, RF_FACT_REGION_TEXT, RF_FACT_PATCH_ILLEGAL_STEP, ANY, DENIED,
	  "text-illegal-step" },
	{ RF_FACT_WRITE, RF_FACT_REGION_TEXT, RF_FACT_PATCH_ILLEGAL_INSN, ANY, DENIED,
	  "text-illegal-instruction" },

	/* No kernel patches itself with a store KVM cannot emulate, so authentication is not even
	   asked. */
	{ RF_FACT_EMULATION, RF_FACT_REGION_RODATA, ANY, ANY, DENIED_ALWAYS,
	  "rodata-is-never-written" },
	{ RF_FACT_EMULATION, RF_FACT_REGION_IDT, ANY, ANY, DENIED_ALWAYS, "idt-is-never-written" },
	{ RF_FACT_EMULATION, RF_FACT_REGION_TEXT, ANY, ANY, DENIED_ALWAYS,
	  "text-store-no-patcher-uses" },
	{ RF_FACT_EMULATION, RF_FACT_REGION_OUTSIDE, ANY, ANY, NOT_OURS, "outside-sealed-memory" },

	{ RF_FACT_MSR, ANY, ANY, RF_FACT_MSR_BEFORE_SEAL, LEGAL, "msr-set-before-seal" },
	{ RF_FACT_MSR, ANY, ANY, RF_FACT_MSR_SAME_VALUE, LEGAL, "msr-keeps-its-value" },
	{ RF_FACT_MSR, ANY, ANY, RF_FACT_MSR_CHANGED, DENIED, "msr-is-pinned" },
	{ RF_FACT_MSR, ANY, ANY, RF_FACT_MSR_PER_CPU, LEGAL, "msr-of-each-cpu" },
	{ RF_FACT_MSR, ANY, ANY, RF_FACT_MSR_INTO_SEAL, DENIED, "msr-points-into-sealed-memory" },
	{ RF_FACT_MSR, ANY, ANY, RF_FACT_MSR_ELSEWHERE, LEGAL, "msr-points-elsewhere" },

	{ RF_FACT_CONTROL, ANY, ANY, ANY, UNDONE, "control-register-is-pinned" },
	{ RF_FACT_CONTROL_LATE, ANY, ANY, ANY, LATE, "control-register-is-pinned" },

	{ RF_FACT_KEXEC, ANY, ANY, ANY, DENIED, "kexec-is-denied" },

	{ RF_FACT_DMA, RF_FACT_REGION_TEXT, ANY, ANY, FOUND, "dma-to-sealed-memory" },
	{ RF_FACT_DMA, RF_FACT_REGION_RODATA, ANY, ANY, FOUND, "dma-to-sealed-memory" },
	{ RF_FACT_DMA, RF_FACT_REGION_IDT, ANY, ANY, FOUND, "dma-to-sealed-memory" },
	{ RF_FACT_ABANDONED, RF_FACT_REGION_TEXT, ANY, ANY, FOUND, "text-patch-abandoned" },

	{ RF_FACT_ENDLESS, ANY, ANY, ANY, FOUND, "guest-lists-end" },
	{ RF_FACT_CHECK, ANY, ANY, ANY, TOLD, "check-found" },

	/* With on_unknown_kernel: run-unsealed-alert; otherwise nobody asks, and the VM is
	 * ended. */
	{ RF_FACT_UNKNOWN, ANY, ANY, ANY, TOLD, "kernel-not-recognised" },
};

/* Of registers and the tables they lead to. */
static const struct {
	enum rf_fact_kind kind;
	enum rf_fact_table table;
	struct row row;
} table_rows[] = {
	{ RF_FACT_LOAD, RF_FACT_TABLE_KERNELS, { .stance = LEGAL, .rule = "table-of-the-kernel" } },
	{ RF_FACT_LOAD, RF_FACT_TABLE_FOREIGN, { .stance = DENIED, .rule = "table-is-foreign" } },
	{ RF_FACT_LOAD,
	  RF_FACT_TABLE_FORGED,
	  { .stance = DENIED, .rule = "table-entry-is-forged" } },
	{ RF_FACT_LOAD,
	  RF_FACT_TABLE_CLEARED,
	  { .stance = DENIED, .rule = "control-register-is-pinned" } },
	{ RF_FACT_TABLE,
	  RF_FACT_TABLE_KERNELS,
	  { .stance = LEGAL, .rule = "table-of-the-kernel" } },
	{ RF_FACT_TABLE,
	  RF_FACT_TABLE_FOREIGN,
	  { .stance = FOUND_WAITING, .rule = "table-is-foreign" } },
	{ RF_FACT_TABLE,
	  RF_FACT_TABLE_CHANGED,
	  { .stance = FOUND_WAITING, .rule = "msr-is-pinned" } },
	{ RF_FACT_ENTRY,
	  RF_FACT_TABLE_FORGED,
	  { .stance = FOUND, .rule = "table-entry-is-forged" } },
};

/* Of measurements. What booted here is compared with what belongs to something that arrives: it is
 * told of, and no reason to keep a machine from booting. */
static const struct row measure_rows[] = {
	[RF_FACT_MEASURE_EXPECTED] = { .stance = LEGAL, .rule = "measurement-as-expected" },
	[RF_FACT_MEASURE_DIFFERENT] = { .stance = DENIED, .rule = "measurement-differs" },
	[RF_FACT_MEASURE_BOOTED] = { .stance = TOLD, .rule = "measurement-differs" },
};

static const struct row hook_rows[] = {
	[RF_FACT_HOOK_FOREIGN] = { .stance = TOLD, .rule = "handler-outside-image" },
	[RF_FACT_HOOK_OWNED] = { .stance = LEGAL, .rule = "handler-of-an-owner" },
};

/* What no row fits, by kind: a guess must not make anything legal, nor apply what cannot be
 * applied. */
static const struct row undecided[] = {
	{ RF_FACT_WRITE, ANY, ANY, ANY, DENIED, "undecided" },
	{ RF_FACT_MSR, ANY, ANY, ANY, DENIED, "undecided" },
	{ RF_FACT_DMA, ANY, ANY, ANY, FOUND, "undecided" },
	{ RF_FACT_ABANDONED, ANY, ANY, ANY, FOUND, "undecided" },
	{ RF_FACT_LOAD, ANY, ANY, ANY, DENIED, "undecided" },
	{ RF_FACT_TABLE, ANY, ANY, ANY, FOUND_WAITING, "undecided" },
	{ RF_FACT_ENTRY, ANY, ANY, ANY, FOUND, "undecided" },
};
static const struct row awaited = { .stance = LEGAL, .rule = "kexec-is-awaited" };
static const struct row unknown = { .stance = DENIED_ALWAYS, .rule = "undecided" };

static bool fits(const struct row *r, const struct rf_facts *f)
{
	return r->kind == f->kind && (r->region == ANY || r->region == (int)f->region) &&
	       (r->patch == ANY || r->patch == (int)f->patch) &&
	       (r->msr == ANY || r->msr == (int)f->msr);
}

static const struct row *find_row(const struct rf_facts *f)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (fits(&rows[i], f))
			return &rows[i];
	for (size_t i = 0; i < sizeof(table_rows) / sizeof(table_rows[0]); i++)
		if (table_rows[i].kind == f->kind && table_rows[i].table == f->table)
			return &table_rows[i].row;
	if (f->kind == RF_FACT_MEASURE && f->measure >= RF_FACT_MEASURE_EXPECTED &&
	    f->measure <= RF_FACT_MEASURE_BOOTED)
		return &measure_rows[f->measure];
	if (f->kind == RF_FACT_HOOK)
		return &hook_rows[f->hook == RF_FACT_HOOK_OWNED];
	for (size_t i = 0; i < sizeof(undecided) / sizeof(undecided[0]); i++)
		if (fits(&undecided[i], f))
			return &undecided[i];
	return &unknown;
}

/* What the policy makes of a row that it has a word on. */
static const struct row *choose_row(const struct rf_policy *p, const struct rf_facts *f)
{
	if (f->kind == RF_FACT_KEXEC && p->on_kexec == RF_ON_KEXEC_REARM)
		return &awaited;
	if (f->kind == RF_FACT_MEASURE && f->measure == RF_FACT_MEASURE_DIFFERENT &&
	    p->on_mismatch == RF_ON_MISMATCH_ALERT)
		return &measure_rows[RF_FACT_MEASURE_BOOTED];
	return find_row(f);
}

/* It is there already, so nothing is applied or suppressed. Observing pauses and ends no VM. */
static struct rf_decision check_decision(const struct rf_policy *p, const char *name,
					 const char *rule)
{
	struct rf_decision d = { RF_WORD_DETECTED, RF_ACTION_APPLY, rule };
	bool enforce = p->mode == RF_MODE_ENFORCE;

	if (!name)
		return d;
	if (rf_names_has(&p->checks_kill, name))
		d.action = enforce ? RF_ACTION_KILL : RF_ACTION_APPLY;
	else if (rf_names_has(&p->checks_pause, name))
		d.action = enforce ? RF_ACTION_PAUSE : RF_ACTION_APPLY;
	else if (rf_names_has(&p->checks_observe, name))
		d.word = RF_WORD_ALLOWED;
	return d;
}

uint64_t rf_policy_log_bytes(const struct rf_policy *p, bool all)
{
	uint64_t quota = (uint64_t)p->log_quota_mb << 20, most = UINT64_C(1) << 20;

	return quota - (all ? 0 : quota / 8 < most ? quota / 8 : most);
}

int rf_policy_decide(const struct rf_policy *p, const struct rf_facts *f, struct rf_decision *out)
{
	const struct row *r;

	if (!rf_policy_mode_text(p->mode) || !rf_on_denied_text(p->on_denied))
		return -EINVAL;
	r = choose_row(p, f);
	switch (r->stance) {
	case LEGAL:
		*out = (struct rf_decision){ RF_WORD_ALLOWED, RF_ACTION_APPLY, r->rule };
		return 0;
	case NOT_OURS:
		*out = (struct rf_decision){ 0, RF_ACTION_PASS, r->rule };
		return 0;
	case DENIED:
	case UNDONE:
	case LATE:
		if (p->mode == RF_MODE_OBSERVE) {
			*out = (struct rf_decision){ RF_WORD_DETECTED, RF_ACTION_APPLY, r->rule };
			return 0;
		}
		break;
	case FOUND_WAITING:
		*out = (struct rf_decision){ RF_WORD_DETECTED,
					     p->mode == RF_MODE_OBSERVE ? RF_ACTION_APPLY
					     : p->on_denied == RF_ON_DENIED_KILL
						     ? RF_ACTION_KILL
						     : RF_ACTION_SUPPRESS,
					     r->rule };
		return 0;
	case TOLD:
		*out = f->kind == RF_FACT_CHECK
			       ? check_decision(p, f->check, r->rule)
			       : (struct rf_decision){ RF_WORD_DETECTED, RF_ACTION_APPLY, r->rule };
		return 0;
	case FOUND:
		*out = (struct rf_decision){ RF_WORD_DETECTED, RF_ACTION_SUPPRESS, r->rule };
		return 0;
	case DENIED_ALWAYS:
		break;
	}
	/* Observing ends no VM, not even over a write it could not let through. */
	*out = (struct rf_decision){
		r->stance == UNDONE ? RF_WORD_UNDONE
		: r->stance == LATE ? RF_WORD_DETECTED
				    : RF_WORD_BLOCKED,
		p->on_denied == RF_ON_DENIED_KILL && p->mode == RF_MODE_ENFORCE
			? RF_ACTION_KILL
			: RF_ACTION_SUPPRESS,
		r->rule,
	};
	return 0;
}

uint32_t rf_policy_denied(const struct rf_policy *p)
{
	uint32_t denied = 0;

	for (unsigned int w = 0; w < RF_PATCH_WORDS; w++)
		if (p->patches[w] == RF_PATCH_RULE_DENY)
			denied |= 1u << w;
	return denied;
}

enum rf_patch_word rf_policy_hook(const char *interface)
{
	static const struct {
		const char *interface;
		enum rf_patch_word word;
	} all[] = {
		{ "kprobe", RF_PATCH_WORD_KPROBES },
		{ "kretprobe", RF_PATCH_WORD_KPROBES },
		{ "stray-probe", RF_PATCH_WORD_KPROBES },
		{ "tracepoint", RF_PATCH_WORD_TRACEPOINTS },
		{ "static-call", RF_PATCH_WORD_STATIC_CALLS },
		{ "livepatch", RF_PATCH_WORD_LIVEPATCH },
		{ "ftrace", RF_PATCH_WORD_FTRACE },
		{ "fprobe", RF_PATCH_WORD_FTRACE },
		{ "ftrace-direct", RF_PATCH_WORD_FTRACE },
		{ "unlisted", RF_PATCH_WORD_FTRACE },
	};
	size_t len = strcspn(interface, ",;: ");

	for (size_t i = 0; i < COUNT(all); i++)
		if (strlen(all[i].interface) == len && !strncmp(all[i].interface, interface, len))
			return all[i].word;
	return RF_PATCH_WORDS;
}

enum rf_fact_hook rf_policy_owner(const struct rf_policy *p, enum rf_patch_word kind,
				  const char *module, bool bpf)
{
	if ((unsigned int)kind >= RF_PATCH_WORDS)
		return RF_FACT_HOOK_FOREIGN;
	if (p->patches[kind] == RF_PATCH_RULE_ALLOW ||
	    (bpf && p->patches[RF_PATCH_WORD_BPF] == RF_PATCH_RULE_ALLOW))
		return RF_FACT_HOOK_OWNED;
	return module[0] && rf_names_has(&p->owners, module) ? RF_FACT_HOOK_OWNED
							     : RF_FACT_HOOK_FOREIGN;
}

/* --- the way back --------------------------------------------------------- */

static int asked(int column)
{
	return column == ANY ? 0 : column;
}

static const char *facts_of(const struct row *r, struct rf_facts *out)
{
	*out = (struct rf_facts){ .kind = r->kind,
				  .region = (enum rf_fact_region)asked(r->region),
				  .patch = (enum rf_fact_patch)asked(r->patch),
				  .msr = (enum rf_fact_msr)asked(r->msr) };
	return r->rule;
}

bool rf_policy_row(size_t i, struct rf_facts *facts, const char **rule)
{
	if (i < COUNT(rows)) {
		*rule = facts_of(&rows[i], facts);
		return true;
	}
	i -= COUNT(rows);
	if (i < COUNT(table_rows)) {
		*facts = (struct rf_facts){ .kind = table_rows[i].kind,
					    .table = table_rows[i].table };
		*rule = table_rows[i].row.rule;
		return true;
	}
	i -= COUNT(table_rows);
	if (i < COUNT(measure_rows) - 1) { /* there is none for what is not known */
		*facts = (struct rf_facts){ .kind = RF_FACT_MEASURE,
					    .measure = (enum rf_fact_measure)(i + 1) };
		*rule = measure_rows[i + 1].rule;
		return true;
	}
	i -= COUNT(measure_rows) - 1;
	if (i < COUNT(hook_rows)) {
		*facts = (struct rf_facts){ .kind = RF_FACT_HOOK, .hook = (enum rf_fact_hook)i };
		*rule = hook_rows[i].rule;
		return true;
	}
	i -= COUNT(hook_rows);
	if (i < COUNT(undecided)) {
		*rule = facts_of(&undecided[i], facts);
		return true;
	}
	i -= COUNT(undecided);
	*facts = (struct rf_facts){ .kind = i ? 0 : RF_FACT_KEXEC };
	*rule = i ? unknown.rule : awaited.rule;
	return i < 2;
}
