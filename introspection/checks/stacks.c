// SPDX-License-Identifier: LGPL-2.1-or-later
#include "introspection/checks/stacks.h"

#include <errno.h>

#include "introspection/checks/each_task.h"
#include "introspection/checks/impl.h"

#define STACK_BYTES 16384u /* THREAD_SIZE without KASAN: arch/x86/include/asm/page_64_types.h */
#define FUNCTIONS_MAX 4

struct stacks {
	struct rf_range functions[FUNCTIONS_MAX];
	size_t count;
	uint64_t stack, sp, on_cpu; /* of struct task_struct; on_cpu 0: it has none */
	bool found;
};

static bool returns_into(const struct stacks *s, uint64_t address)
{
	for (size_t i = 0; i < s->count; i++)
		if (address > s->functions[i].start && address < s->functions[i].end)
			return true;
	return false;
}

/* What cannot be read leads nowhere. */
static int look_at_words(struct rf_run *run, struct stacks *s, uint64_t from, uint64_t to)
{
	uint64_t words[RF_PAGE_SIZE / 8], next;
	int err = 0;

	for (from &= ~UINT64_C(7); !err && !s->found && from < to; from = next) {
		next = (from & ~(RF_PAGE_SIZE - 1)) + RF_PAGE_SIZE;
		next = next < to ? next : to;
		err = rf_run_read(run, from, words, next - from);
		for (uint64_t i = 0; !err && i < (next - from) / 8; i++)
			s->found |= returns_into(s, words[i]);
	}
	return err == -EFAULT ? 0 : err;
}

static int look_at_stack(struct rf_run *run, uint64_t task, void *ctx)
{
	struct stacks *s = ctx;
	uint64_t stack, from;
	uint32_t on_cpu = 0;
	int err;

	(void)((err = rf_run_u64(run, task + s->stack, &stack)) ||
	       (err = rf_run_u64(run, task + s->sp, &from)) ||
	       (err = s->on_cpu ? rf_run_u32(run, task + s->on_cpu, &on_cpu) : 0));
	/* One that has ended has none. Of one that runs no memory says where its stack ends now. */
	if (err || s->found || !stack || (stack & 7))
		return err;
	if (on_cpu)
		from = stack;
	if (from < stack || from - stack >= STACK_BYTES)
		return 0;
	return look_at_words(run, s, from, stack + STACK_BYTES);
}

static void find_functions(struct rf_run *run, const char *functions, struct stacks *s)
{
	const char *left = functions;
	struct rf_symbol symbol;
	char name[64];
	rf_gva end;

	while (s->count < FUNCTIONS_MAX && rf_next_name(&left, name)) {
		if (rf_kernel_symbol(run->c->k, name, &symbol) ||
		    rf_kernel_symbol_extent(run->c->k, symbol.addr, &symbol, &end))
			continue;
		s->functions[s->count++] = (struct rf_range){ symbol.addr.v, end.v };
	}
}

int rf_run_is_in(struct rf_run *run, const char *functions, bool *out)
{
	struct stacks s = { 0 };
	struct rf_tasks tasks;
	int err;

	*out = false;
	find_functions(run, functions, &s);
	if (!s.count)
		return 0;
	if ((err = rf_run_tasks_layout(run, &tasks)) ||
	    (err = rf_run_member(run, "task_struct", "stack", 8, &s.stack)) ||
	    (err = rf_run_member(run, "task_struct", "thread.sp", 8, &s.sp)))
		return err;
	if (rf_run_has(run, "task_struct", "on_cpu") &&
	    (err = rf_run_member(run, "task_struct", "on_cpu", 4, &s.on_cpu)))
		return err;
	err = rf_run_tasks(run, &tasks, look_at_stack, &s);
	*out = s.found;
	return err;
}
