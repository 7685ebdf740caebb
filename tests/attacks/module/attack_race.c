// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two processors on one site. One makes legal patches; when only the last byte of one is missing,
 * both store at once: it that byte, the other a tail, a foreign one or that of the site's other
 * form, which is legal by itself. No instruction may ever stand that is neither of the two forms: a
 * judge that looks first and lets the store through later is tricked into one.
 *
 * Both store through a mapping of their own: who stores is not asked, so there is no need for the
 * kernel's patchers, whose lock would make them take turns.
 *
 * Crowded, as many sites as the fence keeps account of have been left half way before (RF_FLIGHTS
 * in hv/board.h): then it asks the monitor about each store, which takes longer.
 */
#include <linux/completion.h>
#include <linux/jiffies.h>
#include <linux/kallsyms.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "poke.h"

/* Shorter than the patience of the policy that it is tested with: the crowd is not to be taken for
 * abandoned. */
#define RACE_MS 2000
#define ROUNDS_MIN 16 /* however slow the guest is */
#define CROWD 511 /* and the site raced on */

static struct {
	u8 *base;  /* text where it is read */
	u8 *alias; /* and where it is written */
	u8 *site;
	u8 forms[2][RF_INSN];
	u8 foreign[RF_INSN];
	unsigned long until;
	unsigned int rounds, refused[2]; /* by either */
	atomic_t ready[2]; /* the round in which each waits for the other; 0: not yet */
	u64 landed;	   /* the instruction that must not be, or 0 */
	struct completion done[2];
} race;

static struct {
	u8 *at;
	u8 first;
} crowd[CROWD];
static unsigned int crowd_size;

static bool store_byte(u8 *at, u8 value)
{
	unsigned long faulted = 1;

	asm volatile(RF_STORE("movb %[v], (%[p])")
		     : [f] "+r"(faulted)
		     : [v] "q"(value), [p] "r"(race.alias + (at - race.base))
		     : "memory", "cc");
	return !faulted;
}

static bool store_tail(u8 *at, const u8 *insn)
{
	unsigned long faulted = 1;
	u32 tail;

	memcpy(&tail, insn + 1, sizeof(tail));
	asm volatile(RF_STORE("movl %[v], (%[p])")
		     : [f] "+r"(faulted)
		     : [v] "r"(tail), [p] "r"(race.alias + (at + 1 - race.base))
		     : "memory", "cc");
	return !faulted;
}

/* --- the race ------------------------------------------------------------- */

static u64 number(const u8 *insn)
{
	u64 value = 0;

	memcpy(&value, insn, RF_INSN);
	return value;
}

static void check(void)
{
	/* The whole site in one load: it lies within an aligned word. */
	unsigned long shift = (unsigned long)race.site % 8;
	u64 now = READ_ONCE(*(u64 *)(race.site - shift)) >> shift * 8;

	now &= GENMASK_ULL(RF_INSN * 8 - 1, 0);
	if ((u8)now != INT3_INSN_OPCODE && now != number(race.forms[0]) &&
	    now != number(race.forms[1]))
		WRITE_ONCE(race.landed, now);
}

static bool over(void)
{
	return READ_ONCE(race.landed) ||
	       (READ_ONCE(race.rounds) > ROUNDS_MIN && time_after(jiffies, race.until));
}

/* Until the other has come as far, or has gone on, in which case the value is 0. */
static void await(unsigned int who, unsigned int value)
{
	while (atomic_read(&race.ready[who]) != value && !over())
		cpu_relax();
}

static int legal(void *unused)
{
	while (!over()) {
		unsigned int round = ++race.rounds;
		const u8 *form = race.forms[round % 2];

		/* What the last round left half way is put back when a store to it is refused. */
		if (!store_byte(race.site, INT3_INSN_OPCODE))
			store_byte(race.site, INT3_INSN_OPCODE);
		store_tail(race.site, form);
		atomic_set(&race.ready[0], round);
		await(1, round);
		race.refused[0] += !store_byte(race.site, form[0]);
		check();
		atomic_set(&race.ready[0], 0);
		await(1, 0);
		check();
		cond_resched();
	}
	complete(&race.done[0]);
	return 0;
}

static int forger(void *unused)
{
	for (unsigned int round = 1; !over(); round++) {
		await(0, round);
		atomic_set(&race.ready[1], round);
		/* Rather sooner or rather later, from round to round. */
		for (unsigned int i = 0; i < round / 4 % 64; i++)
			cpu_relax();
		race.refused[1] += !store_tail(race.site, round % 4 ? race.forms[(round + 1) % 2]
								    : race.foreign);
		check();
		await(0, 0);
		atomic_set(&race.ready[1], 0);
		cond_resched();
	}
	complete(&race.done[1]);
	return 0;
}

static void put_back(const struct rf_report *r)
{
	if (!memcmp(r->at, r->before, RF_INSN))
		return;
	/* As legal() does. */
	if (!store_byte(r->at, INT3_INSN_OPCODE))
		store_byte(r->at, INT3_INSN_OPCODE);
	store_tail(r->at, r->before);
	store_byte(r->at, r->before[0]);
}

static void run(struct rf_report *r)
{
	int (*const runners[])(void *) = { legal, forger };
	struct task_struct *tasks[2];
	int cpu = -1;

	for (unsigned int i = 0; i < 2; i++) {
		cpu = cpumask_next(cpu, cpu_online_mask);
		init_completion(&race.done[i]);
		tasks[i] = kthread_create(runners[i], NULL, "rf_race/%u", i);
		if (IS_ERR(tasks[i])) {
			/* One that was never woken is gone when it is stopped. */
			if (i)
				kthread_stop(tasks[0]);
			return rf_skip(r, "no kernel thread");
		}
		kthread_bind(tasks[i], cpu);
	}
	for (unsigned int i = 0; i < 2; i++)
		wake_up_process(tasks[i]);
	for (unsigned int i = 0; i < 2; i++)
		wait_for_completion(&race.done[i]);
	rf_say(r, "rounds=%u refused=%u+%u", race.rounds, race.refused[0], race.refused[1]);
	if (race.landed)
		rf_say(r, "stood=%010llx", swab64(race.landed) >> 24);
	r->outcome = race.landed			 ? RF_LANDED
		     : race.refused[0] + race.refused[1] ? RF_FAULTED
							 : RF_UNCHANGED;
}

/* --- the crowd ------------------------------------------------------------ */

/* Who runs into an int3 of ours dies: file systems, drivers and protocols that this guest has no
 * use for. */
static bool idle(const u8 *at)
{
	static const char *const prefixes[] = { "ext4_",    "__ext4_", "jbd2_",	 "fuse_", "mptcp_",
						"subflow_", "xen_",    "__xen_", "ksm_",  "cxl_",
						"sgx_",	    "nvme_",   "pps_" };
	char name[KSYM_SYMBOL_LEN];

	sprint_symbol(name, (unsigned long)at);
	for (unsigned int i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

static void gather(void)
{
	struct jump_entry *e = rf_symbol("__start___jump_table");
	struct jump_entry *stop = rf_symbol("__stop___jump_table");
	const u8 *end = rf_symbol("_etext");

	for (crowd_size = 0; e < stop && crowd_size < CROWD; e++) {
		u8 *at = (u8 *)jump_entry_code(e);

		if (at < race.base || at >= end || at == race.site || *at == INT3_INSN_OPCODE ||
		    !idle(at))
			continue;
		crowd[crowd_size].at = at;
		crowd[crowd_size].first = *at;
		/* Refused where the key is read-only. */
		crowd_size += store_byte(at, INT3_INSN_OPCODE);
	}
}

static void disperse(struct rf_report *r)
{
	for (unsigned int i = 0; i < crowd_size; i++) {
		if (*crowd[i].at == INT3_INSN_OPCODE)
			store_byte(crowd[i].at, crowd[i].first);
		if (*crowd[i].at != crowd[i].first)
			rf_kept(r, "crowd", false);
	}
}

/* --- the attacks ---------------------------------------------------------- */

static void *map_text(void)
{
	const u8 *end = rf_symbol("_etext");
	unsigned int count = DIV_ROUND_UP(end - race.base, PAGE_SIZE);
	struct page **pages = kvmalloc_array(count, sizeof(*pages), GFP_KERNEL);
	void *map = NULL;

	for (unsigned int i = 0; pages && i < count; i++)
		pages[i] = rf_page(race.base + i * PAGE_SIZE);
	if (pages)
		map = vmap(pages, count, VM_MAP, PAGE_KERNEL);
	kvfree(pages);
	return map;
}

static void attempt(struct rf_report *r, bool crowded)
{
	struct rf_jump_site site;

	if (num_online_cpus() < 2)
		return rf_skip(r, "needs two processors");
	if (!rf_jump_site(r, "__xen_pgd_pin", &site))
		return;
	if ((unsigned long)r->at % 8 > 8 - RF_INSN)
		return rf_skip(r, "the site cannot be read at once");
	memset(&race, 0, sizeof(race));
	race.site = r->at;
	memcpy(race.forms[0], r->before, RF_INSN);
	memcpy(race.forms[1], site.jmp, RF_INSN);
	rf_branch(race.foreign, JMP32_INSN_OPCODE, r->at, rf_forged);
	race.base = rf_symbol("_text");
	race.alias = map_text();
	if (!race.alias)
		return rf_skip(r, "vmap failed");
	rf_poke_record(true);
	if (crowded) {
		store_byte(race.site, INT3_INSN_OPCODE);
		gather();
	}
	/* From here on: gathering takes a slow guest longer than the race. */
	race.until = jiffies + msecs_to_jiffies(RACE_MS);
	if (crowded && crowd_size < CROWD)
		rf_skip(r, "this kernel has too few idle sites");
	else
		run(r);
	put_back(r);
	if (crowded)
		disperse(r);
	rf_poke_record(false);
	rf_kept(r, "text", !memcmp(r->at, r->before, r->len));
	vunmap(race.alias);
}

void attack_race(struct rf_report *r)
{
	attempt(r, false);
}

void attack_race_crowded(struct rf_report *r)
{
	attempt(r, true);
}
