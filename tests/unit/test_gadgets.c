// SPDX-License-Identifier: LGPL-2.1-or-later
/* The monitor's report on sensitive instructions, and what it says covers each. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "monitor/cover.h"
#include "monitor/monitor.h"
#include "tests/unit/fake_guest.h"

#define TEXT UINT64_C(0xffffffff81000000)
#define TEXT_GPA 0x1000
#define SIZE UINT64_C(0x14000)

/* --- what the monitor's other files do -------------------------------------------------- */

static uint64_t now_ns;
static const char *symbol;

uint64_t rf_now_ns(void)
{
	return now_ns += 1000;
}

int rf_note(struct rf_guest *g, const char *kind, const char *outcome, const char *detail)
{
	return 0;
}

void rf_name_address(struct rf_guest *g, const struct rf_paging *p, uint64_t gva,
		     struct rf_named *out)
{
	memset(out, 0, sizeof(*out));
	snprintf(out->symbol, sizeof(out->symbol), "%s", symbol);
	out->offset = gva - TEXT;
}

bool rf_traps_load(const struct rf_guest *g)
{
	return g->traps_count;
}

static int pin(struct rf_backend *b, const struct rf_msg_pin *m)
{
	return 0;
}

/* --- a guest ----------------------------------------------------------------------------- */

struct fix {
	struct fake_guest fake;
	struct rf_backend_ops ops;
	struct rf_backend hv;
	struct rf_guest g;
};

static struct rf_disasm *shared;

static int info(struct rf_backend *b, struct rf_backend_info *out)
{
	*out = (struct rf_backend_info){ .cr_watch = true };
	return 0;
}

static int setup(void **state)
{
	static struct fix f;

	memset(&f, 0, sizeof(f));
	fake_init(&f.fake);
	f.fake.k.image = (struct rf_image){ rf_gva_of(TEXT), rf_gpa_of(TEXT_GPA), SIZE };
	memset(f.fake.ram + TEXT_GPA, 0x90, SIZE);
	memcpy(f.fake.ram + TEXT_GPA + 0x10, "\x0f\x30", 2);		 /* wrmsr */
	memcpy(f.fake.ram + TEXT_GPA + 0x20, "\xb8\x0f\x01\x1f\x90", 5); /* lidt inside */
	memcpy(f.fake.ram + TEXT_GPA + SIZE - 8, "\x0f\x22\xe0", 3);	 /* mov cr4 */
	fake_symbol(&f.fake, "f", TEXT, 'T');
	f.ops.pin = pin;
	f.ops.info = info;
	f.hv.ops = &f.ops;
	f.g.hv = &f.hv;
	f.g.policy.mode = RF_MODE_ENFORCE;
	f.g.policy.pin_msrs = true;
	f.g.disasm = shared;
	f.g.mem = f.fake.m;
	f.g.kernel = &f.fake.k;
	f.g.regions_count = 1;
	f.g.regions[0].region.kind = RF_REGION_TEXT;
	f.g.regions[0].region.gva = TEXT;
	f.g.regions[0].region.size = SIZE;
	strcpy(f.g.name, "test");
	symbol = "f";
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	rf_guard_gadgets.forget(&f->g);
	return 0;
}

/* Asks, lets it search, asks again. */
static json_t *report(struct fix *f)
{
	json_t *o = rf_guard_gadgets.reply(&f->g);
	unsigned int pieces = 0;

	assert_non_null(o);
	assert_true(json_is_false(json_object_get(o, "done")));
	json_decref(o);
	while (rf_guard_gadgets.busy(&f->g)) {
		rf_guard_gadgets.step(&f->g);
		assert_true(++pieces < 1000);
	}
	return rf_guard_gadgets.reply(&f->g);
}

static const json_t *kind_of(const json_t *o, const char *kind, bool intended)
{
	size_t i;
	json_t *k;

	json_array_foreach(json_object_get(o, "kinds"), i, k)
	{
		if (!strcmp(json_string_value(json_object_get(k, "kind")), kind) &&
		    json_is_true(json_object_get(k, "intended")) == intended)
			return k;
	}
	fail_msg("no %s", kind);
	return NULL;
}

static void a_report(void **state)
{
	struct fix *f = *state;
	json_t *o = report(f), *list = json_object_get(o, "list"), *row;

	assert_int_equal(json_integer_value(json_object_get(o, "total")), 3);
	assert_int_equal(json_integer_value(json_object_get(o, "text_bytes")), SIZE);
	assert_int_equal(json_integer_value(json_object_get(o, "left_out")), 0);
	assert_int_equal(json_array_size(list), 3);
	row = json_array_get(list, 1);
	assert_string_equal(json_string_value(json_object_get(row, "at")), "0xffffffff81000021");
	assert_string_equal(json_string_value(json_object_get(row, "symbol")), "f+0x21");
	assert_string_equal(json_string_value(json_object_get(row, "kind")), "lidt");
	assert_true(json_is_false(json_object_get(row, "intended")));
	assert_int_equal(json_integer_value(json_object_get(kind_of(o, "wrmsr", true), "count")),
			 1);
	assert_int_equal(json_integer_value(json_object_get(kind_of(o, "wrmsr", false), "count")),
			 0);
	assert_int_equal(json_integer_value(json_object_get(kind_of(o, "mov cr4", true), "count")),
			 1);
	assert_string_equal(
		json_string_value(json_object_get(kind_of(o, "wrmsr", true), "covered")),
		"blocked");
	json_decref(o);

	/* The same again for a while, then a new search. */
	f->fake.ram[TEXT_GPA + 0x10] = 0x90;
	o = rf_guard_gadgets.reply(&f->g);
	assert_int_equal(json_integer_value(json_object_get(o, "total")), 3);
	json_decref(o);
	now_ns += UINT64_C(5000000000);
	o = report(f);
	assert_int_equal(json_integer_value(json_object_get(o, "total")), 2);
	json_decref(o);
}

static void assert_cr4(struct fix *f, const char *word)
{
	json_t *o = rf_guard_gadgets.reply(&f->g);

	assert_string_equal(
		json_string_value(json_object_get(kind_of(o, "mov cr4", true), "covered")), word);
	json_decref(o);
}

/* "undone" is said while somebody sees the host's watch, and no longer. */
static void watch_is_lost(void **state)
{
	struct fix *f = *state;

	f->g.policy.pin_control = true;
	json_decref(report(f));
	assert_cr4(f, "not covered");
	f->g.watched.heard_ns = now_ns;
	assert_cr4(f, "undone");
	f->g.watched.lost = true;
	assert_cr4(f, "not covered");
	f->g.watched.lost = false;
	assert_cr4(f, "undone");
	f->g.watched.heard_ns = now_ns - UINT64_C(6000000000);
	assert_cr4(f, "not covered");
}

static void nothing_is_sealed(void **state)
{
	struct fix *f = *state;
	json_t *o;

	f->g.regions[0].region.kind = RF_REGION_RODATA;
	o = rf_guard_gadgets.reply(&f->g);
	assert_non_null(json_object_get(o, "error"));
	assert_false(rf_guard_gadgets.busy(&f->g));
	json_decref(o);
	f->g.regions[0].region.kind = RF_REGION_TEXT;
	f->g.kernel = NULL;
	o = rf_guard_gadgets.reply(&f->g);
	assert_non_null(json_object_get(o, "error"));
	json_decref(o);
}

static void text_that_cannot_be_read(void **state)
{
	struct fix *f = *state;
	json_t *o;

	f->fake.k.image.gpa.v = sizeof(f->fake.ram) - 4096;
	o = report(f);
	assert_non_null(json_object_get(o, "error"));
	json_decref(o);
	f->fake.k.image.gpa.v = TEXT_GPA;
	f->fake.k.image.size = 4096; /* a region that the image does not hold */
	now_ns += UINT64_C(5000000000);
	o = report(f);
	assert_non_null(json_object_get(o, "error"));
	json_decref(o);
}

/* Text full of them, under a name of the guest's making: the answer stays small. */
static void hostile_text(void **state)
{
	static const char evil[] = "\xff\"\\\x1b[31m\n0123456789012345678901234567890123456789"
				   "012345678901234567890123456789012345678901234567890123456789";
	struct fix *f = *state;
	char *text;
	json_t *o;

	symbol = evil;
	for (uint64_t i = 0; i < SIZE; i += 2)
		memcpy(f->fake.ram + TEXT_GPA + i, "\x0f\x06", 2);
	o = report(f);
	assert_int_equal(json_integer_value(json_object_get(o, "total")), SIZE / 2);
	assert_int_equal(json_integer_value(json_object_get(kind_of(o, "clts", true), "count")),
			 SIZE / 2);
	assert_int_equal(json_integer_value(json_object_get(o, "left_out")) +
				 (json_int_t)json_array_size(json_object_get(o, "list")),
			 SIZE / 2);
	text = json_dumps(o, JSON_COMPACT);
	assert_non_null(text);
	assert_true(strlen(text) < 128u << 10);
	assert_null(strchr(text, 0x1b));
	assert_null(strchr(text, '\n'));
	free(text);
	json_decref(o);
}

/* --- what covers them ----------------------------------------------------------------------- */

static void covers(const struct rf_in_force *f, enum rf_gadget_kind kind, bool intended,
		   const char *word)
{
	struct rf_cover c = rf_cover_of(f, kind, intended);

	if (strcmp(c.word, word) || !*c.by)
		fail_msg("%s: %s, not %s", rf_gadget_kind_text(kind), c.word, word);
}

static void nothing_more_is_promised(void **state)
{
	static const enum rf_gadget_kind never[] = { RF_GADGET_MOV_CR3, RF_GADGET_MOV_DR,
						     RF_GADGET_XSETBV,	RF_GADGET_XRSTORS,
						     RF_GADGET_WRSS,	RF_GADGET_VMX,
						     RF_GADGET_SVM };
	static const enum rf_gadget_kind tables[] = { RF_GADGET_LGDT, RF_GADGET_LIDT,
						      RF_GADGET_LLDT, RF_GADGET_LTR };
	const struct rf_in_force none = { 0 }, lstar = { .lstar = true },
				 msrs = { .lstar = true, .msrs = true }, cr = { .cr_watch = true },
				 traps = { .trap_sites = true },
				 both = { .trap_sites = true, .compared = true },
				 fallback = { .cr_trap_sites = true, .cr_compared = true },
				 all = { false, true, true, true, true, true, true, true },
				 seen = { true, true, true, true, true, true, true, true };

	for (int k = 0; k <= RF_GADGET_KINDS; k++) {
		bool harmless =
			k == RF_GADGET_CLTS || k == RF_GADGET_LMSW || k == RF_GADGET_MOV_CR8;

		for (int intended = 0; intended < 2; intended++)
			covers(&none, (enum rf_gadget_kind)k, intended,
			       harmless ? "harmless" : "not covered");
	}
	covers(&lstar, RF_GADGET_WRMSR, true, "blocked");
	covers(&msrs, RF_GADGET_WRMSR, false, "blocked");
	assert_string_not_equal(rf_cover_of(&lstar, RF_GADGET_WRMSR, true).by,
				rf_cover_of(&msrs, RF_GADGET_WRMSR, true).by);
	covers(&cr, RF_GADGET_MOV_CR0, false, "undone");
	covers(&cr, RF_GADGET_MOV_CR4, true, "undone");
	covers(&cr, RF_GADGET_WRMSR, true, "not covered");
	covers(&fallback, RF_GADGET_MOV_CR0, true, "blocked");
	covers(&fallback, RF_GADGET_MOV_CR4, false, "detected");
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		covers(&traps, tables[i], true, "blocked");
		covers(&traps, tables[i], false, "not covered");
		covers(&both, tables[i], true, "blocked");
		covers(&both, tables[i], false, "detected");
		covers(&seen, tables[i], true, "detected");
	}
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		covers(&all, never[i], true, "not covered");
	covers(&seen, RF_GADGET_WRMSR, true, "detected");
	covers(&seen, RF_GADGET_MOV_CR4, true, "detected");
	covers(&seen, RF_GADGET_CLTS, true, "harmless");
}

static int group_setup(void **state)
{
	return rf_disasm_create(&shared);
}

static int group_teardown(void **state)
{
	rf_disasm_destroy(shared);
	return 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_report),	      T(watch_is_lost),
		T(nothing_is_sealed), T(text_that_cannot_be_read),
		T(hostile_text),      cmocka_unit_test(nothing_more_is_promised),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
