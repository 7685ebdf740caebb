// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * All that can happen to a VM's life, as far as the model (life_model.h) goes: every order of
 * steps, until no new state is found. Then each fault that can be planted in the table or in the
 * code around it must be found.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/life_model.h"

#define MAX_DEEDS 160
#define MAX_STEPS 200 /* of the way to a vCPU that runs */

struct from {
	uint32_t state;
	struct deed deed;
};

struct space {
	const struct model *m;
	struct vm *states;
	struct from *from;
	uint8_t *lives; /* a bit a vCPU: a way to where it runs is known */
	uint32_t *table;
	uint32_t count, room, mask;
	const char *wrong;
	uint32_t wrong_at;
	uint32_t transitions;
	struct deed wrong_deed;
	bool by_step; /* the step itself is wrong */
};

static void space_init(struct space *s, const struct model *m, uint32_t room)
{
	uint32_t slots = 1;

	while (slots < room * 2)
		slots *= 2;
	*s = (struct space){ .m = m, .room = room, .mask = slots - 1 };
	s->states = malloc(room * sizeof(*s->states));
	s->from = malloc(room * sizeof(*s->from));
	s->lives = calloc(room, 1);
	s->table = malloc(slots * sizeof(*s->table));
	assert_non_null(s->states);
	assert_non_null(s->from);
	assert_non_null(s->lives);
	assert_non_null(s->table);
	memset(s->table, 0xff, slots * sizeof(*s->table));
}

static void space_free(struct space *s)
{
	free(s->states);
	free(s->from);
	free(s->lives);
	free(s->table);
}

static uint32_t hash(const struct vm *vm)
{
	uint32_t words[sizeof(*vm) / 4];
	uint64_t h = 0;

	memcpy(words, vm, sizeof(words));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		h = (h ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 29;
	}
	return (uint32_t)(h >> 16);
}

/* Its number; *added: it is new. */
static uint32_t number_of(struct space *s, const struct vm *vm, bool *added)
{
	for (uint32_t i = hash(vm) & s->mask;; i = (i + 1) & s->mask) {
		if (s->table[i] == UINT32_MAX) {
			*added = true;
			if (s->count == s->room)
				fail_msg("more than %u states", s->room);
			s->table[i] = s->count;
			s->states[s->count] = *vm;
			return s->count++;
		}
		if (!memcmp(&s->states[s->table[i]], vm, sizeof(*vm))) {
			*added = false;
			return s->table[i];
		}
	}
}

static void explore(struct space *s)
{
	struct deed deeds[MAX_DEEDS];
	unsigned n = model_deeds_of(s->m, deeds, MAX_DEEDS);
	struct vm start = model_start();
	bool added;

	assert_true(n < MAX_DEEDS);
	number_of(s, &start, &added);
	s->from[0] = (struct from){ UINT32_MAX, { 0 } };
	for (uint32_t at = 0; at < s->count && !s->wrong; at++) {
		for (unsigned i = 0; i < n && !s->wrong; i++) {
			struct vm next = s->states[at];
			uint32_t number;

			if (!model_do(s->m, &next, deeds[i], &s->wrong))
				continue;
			s->transitions++;
			s->wrong_at = at;
			s->wrong_deed = deeds[i];
			s->by_step = s->wrong;
			if (s->wrong)
				break;
			model_canonical(s->m, &next);
			number = number_of(s, &next, &added);
			if (!added)
				continue;
			s->from[number] = (struct from){ at, deeds[i] };
			s->wrong = model_wrong(s->m, &next);
		}
	}
}

/* --- a way to run --------------------------------------------------------------- */

static bool try(const struct model *m, struct vm *vm, uint8_t what, unsigned cpu, unsigned arg,
		uint32_t id)
{
	struct vm next = *vm;
	const char *wrong;

	if (!model_do(m, &next, (struct deed){ what, (uint8_t)cpu, (uint8_t)arg, (uint8_t)id },
		      &wrong))
		return false;
	*vm = next;
	return true;
}

/* One step of everybody's good will, to get `want` to run. */
static bool good_will(const struct model *m, struct vm *vm, unsigned want)
{
	if (vm->loading)
		return try(m, vm, W_LOAD, 0, LOAD_A, 0);
	for (unsigned i = 0; i < m->cpus; i++) {
		const struct cpu *c = &vm->cpu[i];

		if (i != want && c->at == AT_GUEST && try(m, vm, W_LEAVE, i, 0, 0))
			return true;
		if (c->at == AT_GATE && try(m, vm, W_LOOK, i, 0, 0))
			return true;
		if (try(m, vm, W_POST, i, 0, 0) || try(m, vm, W_ENFORCE, i, 0, 0) ||
		    try(m, vm, W_TELL, i, 0, 0))
			return true;
	}
	if (try(m, vm, W_CONNECT, 0, 0, 0))
		return true;
	for (unsigned i = 0; i < m->cpus; i++) {
		enum msg answer = vm->cpu[i].ask == ASK_KERNEL ? MSG_ALLOW : MSG_DENY;

		if (try(m, vm, W_RUN, i, 0, 0) || try(m, vm, W_SETTLE, i, 0, 0) ||
		    try(m, vm, W_TAKE, i, 0, 0) || try(m, vm, W_MAY, i, 0, 0))
			return true;
		if (vm->cpu[i].phase == P_ASKING && try(m, vm, W_SAY, i, answer, 0))
			return true;
	}
	return !vm->awaiting && try(m, vm, W_ENTER, want, 0, 0);
}

static bool runs_or_may_not(const struct vm *vm, unsigned want)
{
	return vm->dead || vm->cpu[want].at == AT_GUEST ||
	       (vm->state == RF_VM_HALTED && !vm->loaded && !vm->loading);
}

/* Goes on from a state until `want` runs. False: it never does. */
static bool has_way(struct space *s, uint32_t at, unsigned want)
{
	uint32_t way[MAX_STEPS];
	uint8_t bits[MAX_STEPS];
	struct vm vm = s->states[at];
	bool added;
	int n;

	for (n = 0; n < MAX_STEPS; n++) {
		way[n] = at;
		bits[n] = (uint8_t)(1u << want);
		if (s->lives[at] & bits[n] || runs_or_may_not(&vm, want))
			break;
		if (!good_will(s->m, &vm, want))
			return false;
		if (model_canonical(s->m, &vm) && want)
			want = 3 - want;
		at = number_of(s, &vm, &added);
		if (added)
			return false;
	}
	if (n == MAX_STEPS)
		return false;
	for (; n >= 0; n--)
		s->lives[way[n]] |= bits[n];
	return true;
}

/* From each state each vCPU has a way. The ways meet, and are gone once. */
static void look_for_ways(struct space *s)
{
	for (uint32_t at = 0; at < s->count && !s->wrong; at++)
		for (unsigned want = 0; want < s->m->cpus && !s->wrong; want++)
			if (!has_way(s, at, want)) {
				s->wrong = "a vCPU that is not halted can never run again";
				s->wrong_at = at;
				s->wrong_deed = (struct deed){ WHATS, (uint8_t)want, 0, 0 };
			}
}

/* --- told ------------------------------------------------------------------------- */

static void print_deed(struct deed d)
{
	if (d.what < WHATS)
		printf("  %u %s (%u%s%u)\n", d.cpu, model_deeds[d.what], d.arg, d.id ? ", id " : "",
		       d.id);
}

static void print_way(const struct space *s)
{
	struct deed way[MAX_STEPS];
	unsigned n = 0;

	for (uint32_t at = s->wrong_at; at && n < MAX_STEPS; at = s->from[at].state)
		way[n++] = s->from[at].deed;
	while (n--)
		print_deed(way[n]);
	print_deed(s->wrong_deed);
	printf("  %s\n", s->wrong);
}

/* What is wrong, or NULL; constant text. */
static const char *check(const struct model *m, uint32_t room, bool tell)
{
	struct space s;
	const char *wrong;

	space_init(&s, m, room);
	explore(&s);
	if (!s.wrong)
		look_for_ways(&s);
	wrong = s.wrong;
	if (tell)
		printf("%u vCPUs: %u states, %u transitions\n", m->cpus, s.count, s.transitions);
	if (tell && wrong)
		print_way(&s);
	space_free(&s);
	return wrong;
}

/* --- the code as it is --------------------------------------------------------------- */

static bool wants_more(void)
{
	const char *how = getenv("LIFE_MODEL");

	return how && !strcmp(how, "all");
}

static void holds(const struct model *m)
{
	const char *wrong = check(m, wants_more() ? 60000000 : 4000000, true);

	if (wrong)
		fail_msg("%s", wrong);
}

/* All that a VMM can do, and a guest that does as guests do. */
static void two_vcpus(void **state)
{
	holds(&(struct model){ .cpus = 2, .vmm = true, .step = rf_life_step });
}

/* Less of each, and a third one that gets in between. */
static void three_vcpus(void **state)
{
	holds(&(struct model){ .cpus = 3, .vmm = true, .lean = true, .step = rf_life_step });
}

/* Registers at will, a monitor that dies, a kexec that is let or not; the VMM loads nothing. */
static void the_guest_alone(void **state)
{
	struct model m = { .cpus = 2, .traps = true, .tricks = true, .mortal = true };

	m.step = rf_life_step;
	m.lean = true;
	holds(&m);
	m.kexec = true;
	holds(&m);
}

static void all_of_it(void **state)
{
	struct model m = { .cpus = 2,
			   .traps = true,
			   .kexec = true,
			   .vmm = true,
			   .tricks = true,
			   .mortal = true,
			   .lean = true };

	m.step = rf_life_step;
	holds(&m);
}

/* Minutes and gigabytes: not a test of each day. */
static void more_of_it(void **state)
{
	struct model m = { .cpus = 2, .traps = true, .vmm = true, .mortal = true };

	m.step = rf_life_step;
	for (int kexec = 0; kexec < 2; kexec++) {
		m.kexec = kexec;
		holds(&m);
	}
	m.mortal = false;
	m.tricks = true;
	holds(&m);
	m = (struct model){ .cpus = 3, .traps = true, .kexec = true, .vmm = true, .lean = true };
	m.step = rf_life_step;
	holds(&m);
}

/* --- what is planted is found --------------------------------------------------------- */

enum where { BY_THE_VMM, BY_THE_GUEST, BY_KEXEC, BY_FORBIDDEN_KEXEC, BY_A_NEW_MONITOR, IN_FULL };

static struct model where_it_shows(enum where where)
{
	struct model m = { .cpus = 2, .lean = where != IN_FULL, .step = rf_life_step };

	m.vmm = where == BY_THE_VMM || where == BY_KEXEC || where == IN_FULL;
	m.tricks = where == BY_THE_GUEST;
	m.traps = where == BY_KEXEC || where == BY_FORBIDDEN_KEXEC;
	m.kexec = where == BY_KEXEC;
	m.mortal = where == BY_A_NEW_MONITOR;
	return m;
}

static void faults_in_the_code(void **state)
{
	static const struct {
		const char *wrong;
		enum where where;
	} rows[FAULTS] = {
		[F_ENTERS_ASKING] = { "a vCPU enters the guest with a question open", IN_FULL },
		[F_BELIEVES_LSTAR_0] = { "released, and the VMM has loaded nothing", BY_THE_GUEST },
		[F_ANNOUNCED_IN_FORCE] = { "BOOTING with a kernel known", BY_THE_VMM },
		[F_AWAITING_STAYS] = { "a vCPU that is not halted can never run again",
				       BY_THE_VMM },
		[F_ANNOUNCER_STAYS] = { "a vCPU that is not halted can never run again",
					BY_THE_VMM },
		[F_ANNOUNCED_STAYS] = { "a vCPU runs under what was armed for another kernel",
					BY_THE_VMM },
		[F_TOLD_LATE] = { "a kernel is asked about before the release that came first is "
				  "told",
				  BY_THE_VMM },
		[F_OVER_IS_KNOWN] = { "a kernel that is gone is in force", BY_KEXEC },
		[F_OVER_HANDS_OVER] = { "released by an answer from before another release",
					BY_KEXEC },
		[F_UNRUN_SEAL_COUNTS] = { "a vCPU runs under what was armed for another kernel",
					  BY_THE_VMM },
		[F_KEPT_FOR_ANY] = { "a kernel gets what was kept of another one", IN_FULL },
		[F_NO_SECOND_LOOK] = { "a vCPU runs before what arrived is announced and let",
				       BY_THE_VMM },
		[F_GATE_OPEN] = { "a vCPU enters the guest with a question open", BY_THE_VMM },
		[F_NOT_ASKED_AGAIN] = { "a vCPU that is not halted can never run again",
					BY_A_NEW_MONITOR },
		[F_ANY_VERDICT] = { "a verdict answers another question", BY_THE_VMM },
		[F_ANSWER_LEFT] = { "a vCPU that is not halted can never run again", BY_THE_VMM },
		[F_DENIED_RUNS] = { "a vCPU runs before what arrived is announced and let",
				    BY_THE_VMM },
		[F_RULES_NOT_ASKED] = { "released by a kexec that the policy forbids",
					BY_FORBIDDEN_KEXEC },
		[F_HALTED_RUNS] = { "a vCPU runs though the VM is halted", BY_THE_VMM },
		[F_STALE_COMMANDS] = { "a vCPU runs under what was armed for another kernel",
				       BY_THE_VMM },
	};

	for (enum fault fault = F_NONE + 1; fault < FAULTS; fault++) {
		struct model m = where_it_shows(rows[fault].where);
		const char *wrong;

		m.fault = fault;
		wrong = check(&m, 4000000, false);
		if (!wrong || !rows[fault].wrong || strcmp(wrong, rows[fault].wrong))
			fail_msg("planted fault %d: %s", fault, wrong ? wrong : "not found");
	}
}

/* The table with one cell changed. */
static enum rf_vm_state cell_state;
static enum rf_life_event cell_event;
static struct rf_life_step cell;

static struct rf_life_step altered(enum rf_vm_state state, enum rf_life_event event)
{
	return state == cell_state && event == cell_event ? cell : rf_life_step(state, event);
}

static void cells_of_the_table(void **state)
{
	static const struct {
		enum rf_vm_state state;
		enum rf_life_event event;
		enum rf_vm_state next;
		enum rf_life_action action;
	} rows[] = {
#define CELL(state, event, next, action)                                                           \
	{ RF_VM_##state, RF_LIFE_##event, RF_VM_##next, RF_LIFE_##action }
		/* dropped: nothing comes of it */
		CELL(BOOTING, KNOWN, BOOTING, REFUSE),
		CELL(FOUND, KNOWN, FOUND, REFUSE),
		CELL(WATCHED, KNOWN, WATCHED, REFUSE),
		CELL(SEALED, KNOWN, SEALED, REFUSE),
		CELL(BOOTING, WATCH, BOOTING, REFUSE),
		CELL(FOUND, WATCH, FOUND, REFUSE),
		CELL(WATCHED, WATCH, WATCHED, REFUSE),
		CELL(BOOTING, SEAL, BOOTING, REFUSE),
		CELL(FOUND, SEAL, FOUND, REFUSE),
		CELL(WATCHED, SEAL, WATCHED, REFUSE),
		CELL(BOOTING, RESET, BOOTING, NONE),
		CELL(FOUND, RESET, FOUND, NONE),
		CELL(WATCHED, RESET, WATCHED, NONE),
		CELL(SEALED, RESET, SEALED, NONE),
		CELL(HALTED, RESET, HALTED, NONE),
		CELL(BOOTING, ARRIVED, BOOTING, NONE),
		CELL(FOUND, ARRIVED, FOUND, NONE),
		CELL(WATCHED, ARRIVED, WATCHED, NONE),
		CELL(SEALED, ARRIVED, SEALED, NONE),
		CELL(HALTED, ARRIVED, HALTED, NONE),
		CELL(SEALED, RELOADED, SEALED, NONE),
		CELL(HALTED, RELOADED, HALTED, NONE),
		CELL(BOOTING, MISFIT, BOOTING, NONE),
		CELL(SEALED, MISFIT, SEALED, NONE),
		CELL(SEALED, KEXEC, SEALED, NONE),
		/* what is refused is let */
		CELL(SEALED, WATCH, WATCHED, ARM),
		CELL(SEALED, SEAL, SEALED, ARM),
		CELL(HALTED, WATCH, WATCHED, ARM),
		CELL(HALTED, SEAL, SEALED, ARM),
		/* another action */
		CELL(BOOTING, ARRIVED, BOOTING, RELEASE),
		CELL(FOUND, ARRIVED, BOOTING, RELEASE),
		CELL(SEALED, ARRIVED, BOOTING, RELEASE),
		CELL(HALTED, ARRIVED, BOOTING, RELEASE),
		CELL(SEALED, RELOADED, BOOTING, RELEASE),
		CELL(SEALED, RELOADED, BOOTING, AWAIT),
		CELL(HALTED, RELOADED, SEALED, NONE),
		CELL(SEALED, RESET, BOOTING, AWAIT),
		/* another state */
		CELL(BOOTING, KNOWN, SEALED, NONE),
		CELL(SEALED, KNOWN, FOUND, NONE),
		CELL(WATCHED, KNOWN, FOUND, NONE),
		CELL(FOUND, SEAL, FOUND, ARM),
		CELL(BOOTING, WATCH, FOUND, ARM),
		CELL(SEALED, RESET, SEALED, RELEASE),
		CELL(HALTED, RESET, HALTED, RELEASE),
		CELL(SEALED, ARRIVED, SEALED, AWAIT),
		CELL(SEALED, RELOADED, FOUND, COMPARE),
		CELL(HALTED, RELOADED, HALTED, COMPARE),
		CELL(SEALED, KEXEC, SEALED, RELEASE),
		CELL(SEALED, MISFIT, FOUND, HALT),
#undef CELL
	};
	struct model m;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool watch = rows[i].event == RF_LIFE_WATCH || rows[i].state == RF_VM_WATCHED;
		const char *wrong;

		m = where_it_shows(watch ? IN_FULL : BY_KEXEC);
		m.step = altered;
		cell_state = rows[i].state;
		cell_event = rows[i].event;
		cell = (struct rf_life_step){ (uint8_t)rows[i].next, (uint8_t)rows[i].action };
		assert_memory_not_equal(
			&cell, &(struct rf_life_step[]){ rf_life_step(cell_state, cell_event) }[0],
			sizeof(cell));
		wrong = check(&m, 4000000, false);
		if (!wrong)
			fail_msg("cell %d, %d changed to %d, %d: not found", rows[i].state,
				 rows[i].event, rows[i].next, rows[i].action);
	}
	printf("%zu changed cells found\n", sizeof(rows) / sizeof(rows[0]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_vcpus),	      cmocka_unit_test(three_vcpus),
		cmocka_unit_test(the_guest_alone),    cmocka_unit_test(all_of_it),
		cmocka_unit_test(faults_in_the_code), cmocka_unit_test(cells_of_the_table),
	}, more[] = { cmocka_unit_test(more_of_it) };

	/* LIFE_MODEL=all: of what is tried but not each day. */
	return wants_more() ? cmocka_run_group_tests(more, NULL, NULL)
			    : cmocka_run_group_tests(tests, NULL, NULL);
}
