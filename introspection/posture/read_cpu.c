// SPDX-License-Identifier: LGPL-2.1-or-later
/* Readings of processors: what the kernel knows of them, and their registers. x86's. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "introspection/posture/impl.h"

#define WORD_BITS 32u
#define WORDS_MAX 64u /* 24 of them in 6.12 */

/*
 * arch/x86/include/asm/processor.h struct cpuinfo_x86: x86_capability[NCAPINTS + NBUGINTS], flags
 * first, then bugs. Which bit has which name say the kernel's own tables, which
 * arch/x86/kernel/cpu/mkcapflags.sh makes: x86_cap_flags[NCAPINTS * 32],
 * x86_bug_flags[NBUGINTS * 32].
 */
struct flags {
	uint64_t bits;	    /* where x86_capability stands */
	unsigned int words; /* of it all */
	uint64_t names;
	unsigned int first, count; /* words that the names are of */
};

/* Words of flags: what the table of their names has room for. */
static int count_flags(struct rf_look *l, uint64_t table, unsigned int words, unsigned int *out)
{
	struct rf_symbol sym;
	rf_gva end;
	uint64_t count;

	if (rf_kernel_symbol_extent(rf_run_kernel(l->run), rf_gva_of(table), &sym, &end))
		return -EBADMSG;
	count = (end.v - table) / (WORD_BITS * sizeof(uint64_t));
	if (!count || count >= words)
		return -EBADMSG;
	*out = (unsigned int)count;
	return 0;
}

static int lay_out(struct rf_look *l, bool bugs, struct flags *f)
{
	uint64_t cpu, offset, table, size;
	struct rf_member m;
	unsigned int count;
	char found[64];
	int err = rf_posture_symbol(l, "boot_cpu_data", &cpu, found);

	if (!err)
		err = rf_posture_symbol(l, "x86_cap_flags", &table, found);
	if (!err)
		err = rf_posture_symbol(l, bugs ? "x86_bug_flags" : "x86_cap_flags", &f->names,
					found);
	if (!err)
		err = rf_run_member(l->run, "cpuinfo_x86", "x86_capability", 0, &offset);
	if (err)
		return err;
	if (rf_kernel_member(rf_run_kernel(l->run), "cpuinfo_x86", "x86_capability", &m))
		return -EBADMSG;
	size = m.size / sizeof(uint32_t);
	if (!size || size > WORDS_MAX)
		return -EBADMSG;
	f->bits = cpu + offset;
	f->words = (unsigned int)size;
	err = count_flags(l, table, f->words, &count);
	f->first = bugs ? count : 0;
	f->count = bugs ? f->words - count : count;
	return err;
}

/* -ENOENT: no flag has that name. */
static int find_bit(struct rf_look *l, const struct flags *f, const char *name, unsigned int *out)
{
	uint64_t at[WORD_BITS];
	char each[24];
	int err = 0;

	for (unsigned int word = 0; !err && word < f->count; word++) {
		err = rf_run_read(l->run, f->names + word * sizeof(at), at, sizeof(at));
		for (unsigned int i = 0; !err && i < WORD_BITS; i++) {
			if (!at[i])
				continue;
			err = rf_run_text(l->run, at[i], each, sizeof(each));
			if (err || strcmp(each, name))
				continue;
			*out = word * WORD_BITS + i;
			return 0;
		}
	}
	if (err)
		return err;
	rf_run_lacks(l->run, "the kernel knows no flag %s of processors", name);
	return -ENOENT;
}

static int read_bit(struct rf_look *l, bool bugs, const char *name, bool *out)
{
	struct flags f;
	unsigned int bit;
	uint32_t word;
	int err = lay_out(l, bugs, &f);

	if (!err)
		err = find_bit(l, &f, name, &bit);
	if (!err)
		err = rf_run_u32(l->run, f.bits + (f.first + bit / WORD_BITS) * sizeof(word),
				 &word);
	if (!err)
		*out = word >> bit % WORD_BITS & 1;
	return err;
}

int rf_read_flag(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out)
{
	bool there = false;
	int err = read_bit(l, false, r->name, &there);

	if (err)
		return err;
	out->value = there;
	snprintf(out->text, sizeof(out->text), "%s", there ? "on" : "off");
	snprintf(out->by, sizeof(out->by), "processor's flag %s", r->name);
	return 0;
}

int rf_posture_bug(struct rf_look *l, const char *name, bool *out)
{
	return read_bit(l, true, name, out);
}

int rf_read_bug(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out)
{
	bool there = false;
	int err = rf_posture_bug(l, r->name, &there);

	if (err)
		return err;
	out->value = there;
	snprintf(out->text, sizeof(out->text), "the processor %s",
		 there ? "needs it" : "needs none");
	snprintf(out->by, sizeof(out->by), "processor's bug %s", r->name);
	return 0;
}

/* --- registers ----------------------------------------------------------------------- */

#define PAGING_ON (UINT64_C(1) << 31) /* CR0.PG, SDM vol. 3A 2.5 */

/* One that has not been started has no paging, and runs nothing of the kernel's. */
int rf_read_register(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out)
{
	size_t running = 0, with = 0;

	for (size_t i = 0; i < l->p->cpu_count; i++) {
		const struct rf_posture_cpu *cpu = &l->p->cpus[i];
		uint64_t value = strcmp(r->name, "CR0") ? cpu->cr4 : cpu->cr0;

		if (!(cpu->cr0 & PAGING_ON))
			continue;
		running++;
		with += (value & r->mask) == r->mask;
	}
	if (!running) {
		rf_run_lacks(l->run, "this dump has no processor registers; `virsh dump "
				     "--memory-only` keeps them");
		return -ENOENT;
	}
	out->value = with == running;
	if (with == running || !with)
		snprintf(out->text, sizeof(out->text), "%s", with ? "on" : "off");
	else
		snprintf(out->text, sizeof(out->text), "on for %zu of %zu processors", with,
			 running);
	snprintf(out->by, sizeof(out->by), "%s", r->name);
	return 0;
}

/* --- where memory is mapped -------------------------------------------------------- */

/* arch/x86/include/asm/page_64_types.h __PAGE_OFFSET_BASE_L4, _L5; arch/x86/mm/kaslr.c
 * kernel_randomize_memory() moves page_offset_base away from it. */
int rf_read_page_offset(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out)
{
	const uint64_t fixed = l->run->c->p.levels == 5 ? UINT64_C(0xff11000000000000)
							: UINT64_C(0xffff888000000000);
	uint64_t at, base;
	char found[64];
	int err = rf_posture_symbol(l, r->name, &at, found);

	if (!err)
		err = rf_run_u64(l->run, at, &base);
	if (err)
		return err;
	out->value = base != fixed;
	snprintf(out->text, sizeof(out->text), "%s", out->value ? "on" : "off");
	snprintf(out->by, sizeof(out->by), "%s", found);
	return 0;
}

/* --- vulnerabilities --------------------------------------------------------------- */

/*
 * What the kernel does against each: a variable of arch/x86/kernel/cpu/bugs.c, an enum of which 0
 * is "nothing" throughout. `open`: others that the kernel too calls vulnerable, as the processor
 * lacks the microcode, or half of it is not built in, or nobody but guests of this kernel's is kept
 * off. Behind a '+' one that is not: by it an enum is known that had none of these at first (6.1).
 * Meltdown has a row of its own.
 */
#define OPEN_MAX 3u
static const struct vulnerability {
	const char *bug, *state, *open[OPEN_MAX];
} vulnerabilities[] = {
	{ "spectre_v1", "spectre_v1_mitigation", { NULL } },
	{ "spectre_v2", "spectre_v2_enabled", { "SPECTRE_V2_LFENCE" } },
	{ "spec_store_bypass", "ssb_mode", { NULL } },
	{ "l1tf", "l1tf_mitigation", { NULL } },
	{ "mds", "mds_mitigation", { "MDS_MITIGATION_VMWERV" } },
	{ "taa", "taa_mitigation", { "TAA_MITIGATION_UCODE_NEEDED" } },
	{ "mmio_stale_data", "mmio_mitigation", { "MMIO_MITIGATION_UCODE_NEEDED" } },
	{ "srbds", "srbds_mitigation", { "SRBDS_MITIGATION_UCODE_NEEDED" } },
	{ "retbleed", "retbleed_mitigation", { NULL } },
	{ "srso",
	  "srso_mitigation",
	  { "SRSO_MITIGATION_UCODE_NEEDED", "SRSO_MITIGATION_SAFE_RET_UCODE_NEEDED",
	    "SRSO_MITIGATION_MICROCODE" } },
	{ "gds", "gds_mitigation", { "GDS_MITIGATION_UCODE_NEEDED" } },
	{ "rfds", "rfds_mitigation", { "RFDS_MITIGATION_UCODE_NEEDED" } },
	/* spectre_bhi_state(), its_strings[]: "Vulnerable, KVM: ..." */
	{ "bhi", "bhi_mitigation", { "BHI_MITIGATION_VMEXIT_ONLY", "+BHI_MITIGATION_ON" } },
	{ "its", "its_mitigation", { "ITS_MITIGATION_VMEXIT_ONLY" } },
	{ "tsa", "tsa_mitigation", { "TSA_MITIGATION_UCODE_NEEDED" } },
	{ "vmscape", "vmscape_mitigation", { NULL } },
};

static bool is_state(struct rf_look *l, uint32_t state, const char *enumerator, bool *known)
{
	int64_t value;

	if (rf_kernel_enumerator(rf_run_kernel(l->run), NULL, enumerator, &value))
		return false;
	*known = true;
	return value == (int64_t)state;
}

/* A state but 0 says nothing where the types know none of its names. */
static int by_state(struct rf_look *l, const struct vulnerability *v, uint32_t state, bool *out)
{
	bool known = !v->open[0];

	for (unsigned int i = 0; i < OPEN_MAX && v->open[i]; i++) {
		bool closed = *v->open[i] == '+';

		*out |= is_state(l, state, v->open[i] + closed, &known) && !closed;
	}
	return known ? 0
		     : rf_run_lacks(l->run, "the kernel's types do not say what %s is", v->open[0]);
}

/* kernel/bpf/syscall.c; without it there is no bpf(), include/linux/bpf.h
 * unprivileged_ebpf_enabled(). */
static int everybody_has_bpf(struct rf_look *l, bool *out)
{
	static const struct rf_reading r = { .name = "sysctl_unprivileged_bpf_disabled",
					     .also = "bpf_map_new_fd|bpf_prog_new_fd" };
	struct rf_answer a = { 0 };
	int err = rf_read_number(l, &r, &a);

	*out = !err && !a.value;
	return err == -ENOENT ? rf_posture_absent(l, &r) : err;
}

/* include/linux/sched/smt.h sched_smt_active(); without CONFIG_SCHED_SMT it is off. */
static int has_smt(struct rf_look *l, bool *out)
{
	static const struct rf_reading r = { .name = "sched_smt_present" };
	struct rf_answer a = { 0 };
	int err = rf_read_key(l, &r, &a);

	*out = !err && a.value;
	return err == -ENOENT ? 0 : err;
}

/* spectre_v2_show_state(): eIBRS keeps nobody off who brings BPF code into the kernel; with LFENCE
 * it does, but not from a thread of the same core. */
static int by_bpf(struct rf_look *l, uint32_t state, bool *out)
{
	bool known, open = is_state(l, state, "SPECTRE_V2_EIBRS", &known);
	int err = 0;

	if (is_state(l, state, "SPECTRE_V2_EIBRS_LFENCE", &known))
		err = has_smt(l, &open);
	return err || !open ? err : everybody_has_bpf(l, out);
}

static int is_open(struct rf_look *l, const struct vulnerability *v, bool *out)
{
	uint64_t at;
	uint32_t state;
	char found[64];
	int err = rf_posture_symbol(l, v->state, &at, found);

	if (!err)
		err = rf_run_u32(l->run, at, &state);
	if (err)
		return err;
	*out = !state;
	if (state)
		err = by_state(l, v, state, out);
	if (!err && state && !*out && !strcmp(v->bug, "spectre_v2"))
		err = by_bpf(l, state, out);
	return err;
}

int rf_read_vulnerabilities(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out)
{
	unsigned int known = 0;
	size_t used = 0;

	for (size_t i = 0; i < sizeof(vulnerabilities) / sizeof(vulnerabilities[0]); i++) {
		const struct vulnerability *v = &vulnerabilities[i];
		bool has = false, open = false;
		int err = rf_posture_bug(l, v->bug, &has);

		if (err == -ENOENT) /* older than that one */
			continue;
		if (!err && has)
			err = is_open(l, v, &open);
		if (err)
			return err == -ENOENT ? -ENOTSUP : err;
		known++;
		if (!open)
			continue;
		out->value++;
		used += (size_t)snprintf(out->text + used, sizeof(out->text) - used, "%s%s",
					 used ? ", " : "", v->bug);
		if (used >= sizeof(out->text))
			used = sizeof(out->text) - 1;
	}
	if (!known) {
		rf_run_lacks(l->run, "the kernel names no vulnerability of processors");
		return -ENOENT;
	}
	if (!out->value)
		snprintf(out->text, sizeof(out->text), "none of %u", known);
	snprintf(out->by, sizeof(out->by), "processor's bugs");
	return 0;
}
