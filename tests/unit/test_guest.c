// SPDX-License-Identifier: LGPL-2.1-or-later
/* A guest from the kernel's first sign to its seal, through resets and the death of monitors. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_monitor.h"

static uint32_t kernel_comes(void)
{
	struct rf_msg_event ev = fake_kernel_event(LSTAR);

	return fake_judge(&ev);
}

static uint32_t kernel_runs(void)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_WATCH);

	return fake_judge(&ev);
}

static void assert_regions(const struct rf_region *r)
{
	assert_int_equal(r[0].kind, RF_REGION_TEXT);
	assert_int_equal(r[0].gpa, IMAGE_GPA + TEXT_AT);
	assert_int_equal(r[0].gva, IMAGE_GVA + TEXT_AT);
	assert_int_equal(r[0].size, TEXT_SIZE);
	assert_int_equal(r[1].kind, RF_REGION_RODATA);
	assert_int_equal(r[1].gpa, IMAGE_GPA + RODATA_AT);
	assert_int_equal(r[1].gva, IMAGE_GVA + RODATA_AT);
	assert_int_equal(r[1].size, RODATA_SIZE);
}

static void assert_regions_known(void)
{
	const struct rf_region r[] = { guest.regions[0].region, guest.regions[1].region };

	assert_int_equal(guest.regions_count, 2);
	assert_regions(r);
	assert_ptr_equal(rf_guest_region(&guest, IMAGE_GPA + TEXT_SIZE - 1), &guest.regions[0]);
	assert_null(rf_guest_region(&guest, IMAGE_GPA + TEXT_SIZE));
	assert_null(rf_guest_region(&guest, IMAGE_GPA - 1));
	assert_ptr_equal(rf_guest_region(&guest, IMAGE_GPA + RODATA_AT), &guest.regions[1]);
}

/* --- found --- */

static void found_and_watched(void **state)
{
	struct rf_msg_event ev = fake_kernel_event(LSTAR);

	ev.regs.cr4 = 1u << 12;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_int_equal(fake.inside.v, LSTAR);
	assert_int_equal(fake.paging.root.v, CR3 & ~UINT64_C(0xfff));
	assert_int_equal(fake.paging.levels, 5);
	assert_int_equal(fake.watches, 1);
	assert_int_equal(fake.watch.kernel, ev.id);
	assert_int_equal(fake.watch.gpa, IMAGE_GPA + STATE_AT);
	assert_int_equal(fake.watch.len, 4);
	assert_int_equal(fake.watch.value, RUNNING);
	/* Of the text as it is now: known again when the same kernel is booted anew. */
	assert_memory_not_equal(fake.watch.note, (uint8_t[32]){ 0 }, sizeof(fake.watch.note));
	assert_int_equal(fake.seals, 0);
	assert_int_equal(fake_lines(), 1);
	assert_string_equal(fake_text(fake_line(0), "outcome"), "found");
	assert_string_equal(fake_text(fake_line(0), "detail"), "Linux version 6.12-fake");
	assert_false(guest.poll_permissions);
}

static void not_recognised(void **state)
{
	struct rf_msg_event ev = fake_kernel_event(LSTAR);

	fake.discover_err = -EBADMSG;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_KILL);
	assert_int_equal(fake.watches + fake.seals, 0);
	assert_string_equal(fake_text(fake_line(1), "outcome"), "not recognised");
	assert_string_equal(fake_text(fake_line(0), "outcome"), "the VM is ended");
	assert_non_null(strstr(fake_text(fake_line(0), "detail"), "no kernel there"));
	assert_non_null(strstr(fake_notified(), "error "));
}

/* Each way the watch can fail but the two that have an answer of their own. */
static void not_watched(void **state)
{
	static const int errors[] = { -EINVAL, -EBUSY, -ESTALE, -ETIMEDOUT, -EBADMSG };

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		fake.watch_err = errors[i];
		assert_int_equal(kernel_comes(), RF_VERDICT_KILL);
		assert_string_equal(fake_text(fake_line(0), "outcome"),
				    errors[i] == -ESTALE ? "a command came too late"
							 : "the VM is ended");
	}
	assert_int_equal(fake.seals, 0);
}

/* A connection that is gone has no use for a verdict, nor the log for a line. */
static void connection_lost(void **state)
{
	struct rf_msg_event ev = fake_kernel_event(LSTAR);

	fake.watch_err = -ECONNRESET;
	assert_int_equal(rf_guest_event(&guest, &ev), -ECONNRESET);
	assert_int_equal(fake.verdicts, 0);
	assert_int_equal(fake_count("kind", "monitor"), 0);
	fake.watch_err = 0;
	fake.verdict_err = -ECONNRESET;
	assert_int_equal(rf_guest_event(&guest, &ev), -ECONNRESET);
	fake.info_err = -EAGAIN;
	assert_int_equal(rf_guest_event(&guest, &ev), -EAGAIN);
}

static void already_running(void **state)
{
	fake.state_runs = true;
	assert_int_equal(kernel_comes(), RF_VERDICT_ALLOW);
	assert_int_equal(fake.seals, 1);
	assert_int_equal(fake_count("outcome", "sealed as it was restored"), 2);
	assert_false(fake.table_kept); /* there is none */
	assert_regions_known();
	assert_non_null(strstr(fake_notified(), "sealed\n"));
}

/*
 * A guest that arrives brings its LSTAR along, and can have loaded it by VMLOAD a moment before it
 * was stopped. Pinned as it comes, the watchman would keep it, and give it to the other CPUs.
 */
static void arrives_with_a_forged_entry(void **state)
{
	struct rf_msg_event ev = fake_kernel_event(LSTAR + 0x55); /* the middle of a function */

	fake.state_runs = true;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_string_equal(fake_text(fake_line(0), "kind"), "msr");
	assert_string_equal(fake_text(fake_line(0), "verdict"), "blocked");
}

/* Not even text. */
static void arrives_with_an_entry_in_data(void **state)
{
	struct rf_msg_event ev = fake_kernel_event(IMAGE_GVA + STATE_AT + 0x100);

	fake.state_runs = true;
	assert_int_not_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
}

/*
 * Its vCPUs are held, its devices are not: what its symbols were read from is anybody's until it is
 * sealed, and what is measured (--expect) is read after that.
 */
static void arrives_and_is_read_again(void **state)
{
	fake.state_runs = true;
	assert_int_equal(kernel_comes(), RF_VERDICT_ALLOW);
	assert_int_equal(fake.seals, 1);
	assert_int_equal(fake.by_image, 1); /* out of what is sealed */
}

static void already_running_not_sealed(void **state)
{
	fake.state_runs = true;
	fake.seal_err = -EINVAL;
	assert_int_equal(kernel_comes(), RF_VERDICT_KILL);
	assert_int_equal(guest.regions_count, 0);
}

static void log_is_full(void **state)
{
	fake_log_full();
	assert_int_equal(kernel_comes(), RF_VERDICT_KILL);
	fake_log_room();
	assert_int_equal(kernel_comes(), RF_VERDICT_ALLOW);
	fake_log_full();
	assert_int_equal(kernel_runs(), RF_VERDICT_KILL);
}

/* --- sealed --- */

static void sealed(void **state)
{
	assert_int_equal(kernel_comes(), RF_VERDICT_ALLOW);
	fake_notified();
	assert_int_equal(kernel_runs(), RF_VERDICT_ALLOW);
	assert_int_equal(fake.seals, 1);
	assert_int_equal(fake.seal.kernel, fake.posted);
	assert_int_equal(fake.seal.count, 2);
	assert_regions(fake.seal.regions);
	assert_int_equal(fake.seal.image.gpa, IMAGE_GPA);
	assert_int_equal(fake.seal.image.gva, IMAGE_GVA);
	assert_int_equal(fake.seal.image.size, IMAGE_SIZE);
	assert_regions_known();
	assert_non_null(guest.patches);
	assert_string_equal(fake_notified(), "sealed\n");
	for (size_t i = 0; i < 2; i++) {
		json_t *line = fake_line(i);

		assert_string_equal(fake_text(line, "outcome"),
				    "sealed before the first user instruction");
		assert_string_equal(fake_text(line, "region"), i ? "text" : "rodata");
		assert_int_equal(strlen(fake_text(line, "sha256")), 64);
		assert_string_equal(fake_text(line, "sha256"), guest.regions[!i].sha256);
		assert_null(json_object_get(line, "detail"));
	}
	assert_string_not_equal(guest.regions[0].sha256, guest.regions[1].sha256);
}

/* The seal does not rest on the guest's own permissions; the auditor is told. */
static void permissions_differ(void **state)
{
	fake_map(IMAGE_GVA + RODATA_AT + 0x2000, IMAGE_GPA + RODATA_AT + 0x2000, 0x1000, true,
		 false);
	fake_map(IMAGE_GVA + 0x3000, IMAGE_GPA + 0x3000, 0x1000, false, false);
	fake_sealed();
	assert_non_null(strstr(fake_text(fake_line(0), "detail"), "leave it writable"));
	assert_non_null(strstr(fake_text(fake_line(1), "detail"), "not executable"));
	assert_regions_known();
}

static void permissions_unknown(void **state)
{
	fake.walk_err = -E2BIG;
	fake_sealed();
	assert_non_null(strstr(fake_text(fake_line(0), "detail"), "could not be read"));
	assert_regions_known();
}

static void no_site_table(void **state)
{
	fake.textpatch_err = -ENOENT;
	fake_sealed();
	assert_null(guest.patches);
	assert_string_equal(fake_text(fake_line(0), "kind"), "patch");
	assert_string_equal(fake_text(fake_line(0), "detail"), "no tables");
}

static void seal_fails(void **state)
{
	static const int errors[] = { -EINVAL, -ESTALE, -ENOMEM, -ETIMEDOUT };

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		assert_int_equal(kernel_comes(), RF_VERDICT_ALLOW);
		fake.seal_err = errors[i];
		assert_int_equal(kernel_runs(), RF_VERDICT_KILL);
		assert_string_equal(fake_text(fake_line(0), "outcome"),
				    errors[i] == -ESTALE ? "a command came too late"
							 : "the VM is ended");
		assert_int_equal(guest.regions_count, 0);
	}
}

/* Sealed, but what was sealed cannot be read: nothing is known to be right. */
static void not_measured(void **state)
{
	assert_int_equal(kernel_comes(), RF_VERDICT_ALLOW);
	fake.read_err = -EFAULT;
	assert_int_equal(kernel_runs(), RF_VERDICT_KILL);
}

static void bounds_make_no_sense(void **state)
{
	static const char *const missing[] = { "_text", "_etext", "__start_rodata",
					       "__end_rodata" };

	for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
		fake.without = missing[i];
		/* Text is looked at when the kernel shows itself. */
		assert_int_equal(kernel_comes(), i < 2 ? RF_VERDICT_KILL : RF_VERDICT_ALLOW);
		assert_int_equal(kernel_runs(), RF_VERDICT_KILL);
	}
	assert_int_equal(fake.seals, 0);
}

/* Neither a page's part is sealed nor what ends before it begins. */
static void bounds_that_are_no_pages(void **state)
{
	static const struct {
		const char *symbol;
		uint64_t by;
	} cases[] = { { "_text", 8 },
		      { "_etext", TEXT_AT - TEXT_END },
		      { "__start_rodata", RF_PAGE_SIZE - 1 },
		      { "__start_rodata", RODATA_END - RODATA_AT },
		      { "__end_rodata", RODATA_AT - RODATA_END - 1 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fake.moved = cases[i].symbol;
		fake.moved_by = cases[i].by;
		assert_int_equal(kernel_comes(), i < 2 ? RF_VERDICT_KILL : RF_VERDICT_ALLOW);
		assert_int_equal(kernel_runs(), RF_VERDICT_KILL);
	}
	assert_int_equal(fake.seals, 0);
}

static void policy_seals(bool text, bool rodata, unsigned int seals)
{
	guest.policy.seal_text = text;
	guest.policy.seal_rodata = rodata;
	assert_int_equal(kernel_comes(), RF_VERDICT_ALLOW);
	assert_int_equal(kernel_runs(), RF_VERDICT_ALLOW);
	assert_int_equal(fake.seals, seals);
}

static void policy_seals_nothing(void **state)
{
	policy_seals(false, false, 0);
	assert_string_equal(fake_text(fake_line(0), "outcome"), "nothing is sealed");
	assert_null(strstr(fake_notified(), "sealed\n"));
	assert_int_equal(guest.regions_count, 0);
}

static void policy_seals_text(void **state)
{
	policy_seals(true, false, 1);
	assert_int_equal(guest.regions_count, 1);
	assert_int_equal(guest.regions[0].region.kind, RF_REGION_TEXT);
}

static void policy_seals_rodata(void **state)
{
	policy_seals(false, true, 1);
	assert_int_equal(guest.regions_count, 1);
	assert_int_equal(guest.regions[0].region.kind, RF_REGION_RODATA);
}

/* A hit of the watch when no kernel was ever found. */
static void runs_unfound(void **state)
{
	assert_int_equal(kernel_runs(), RF_VERDICT_KILL);
	assert_int_equal(fake.seals, 0);
}

static void unknown_event(void **state)
{
	struct rf_msg_event ev = fake_event(0);

	assert_int_equal(rf_guest_event(&guest, &ev), -EBADMSG);
	ev.kind = 99;
	assert_int_equal(rf_guest_event(&guest, &ev), -EBADMSG);
	assert_int_equal(fake.verdicts, 0);
}

/* --- what the VMM does to the VM --- */

static void reset_forgets(void **state)
{
	fake_sealed();
	assert_int_equal(rf_sweep(&guest, 1), 0);
	fake_reset();
	assert_int_equal(fake.kernels, 0);
	assert_int_equal(fake.tables, 0);
	assert_null(guest.kernel);
	assert_null(guest.patches);
	assert_int_equal(guest.kernel_event, 0);
	assert_int_equal(guest.lstar, 0);
	assert_int_equal(guest.regions_count, 0);
	assert_int_equal(guest.sweep_region, 0);
	assert_int_equal(guest.sweep_at, 0);
	assert_int_equal(fake_count("kind", "reset"), 1);
	assert_string_equal(fake_text(fake_line(0), "outcome"), "seals released");
	assert_null(rf_guest_region(&guest, IMAGE_GPA));
	/* The next kernel is a new one. */
	fake.ram[TEXT_AT] ^= 0xff;
	fake.kept = false;
	fake.info.kept_entry = 0;
	fake_sealed();
	assert_int_equal(fake.discovered, 2);
	assert_int_equal(fake.seals, 2);
	assert_regions_known();
}

/* Each cause has words of its own; an unknown one is no reason to read past them. */
static void causes(void **state)
{
	static const struct {
		uint32_t cause;
		const char *says;
	} rows[] = {
		{ RF_CAUSE_RESET, "a reset by the VMM" },
		{ RF_CAUSE_ARRIVED, "another running guest" },
		{ RF_CAUSE_KEXEC, "kexec" },
		{ 0, "no reason" },
		{ 99, "no reason" },
		{ UINT32_MAX, "no reason" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rf_msg_event ev = fake_event(RF_EVENT_RESET);

		ev.life.cause = rows[i].cause;
		assert_int_equal(fake_judge(&ev), 0);
		assert_string_equal(fake_text(fake_line(0), "outcome"), "seals released");
		assert_non_null(strstr(fake_text(fake_line(0), "detail"), rows[i].says));
	}
	assert_int_equal(fake.verdicts, 0);
}

/* What devices had written by then is told first: its list names regions that go with the reset. */
static void told_before_it_is_forgotten(void **state)
{
	fake_sealed();
	fake.heals[0] = (struct rf_heal){ .gpa = IMAGE_GPA + RODATA_AT, .len = 2 };
	fake.heals_head = 1;
	fake_reset();
	assert_int_equal(fake_count("kind", "dma"), 1);
	assert_string_equal(fake_text(fake_line(1), "region"), "rodata");
	assert_string_equal(fake_text(fake_line(0), "kind"), "reset");
	assert_int_equal(fake.info.heals_taken, 1);
	/* A log that cannot be written: nothing is forgotten without a line. */
	fake_sealed();
	fake.heals_head = 2;
	fake_log_full();
	assert_int_not_equal(
		rf_guest_event(&guest, &(struct rf_msg_event){ .kind = RF_EVENT_RESET }), 0);
	assert_non_null(guest.kernel);
	assert_int_equal(guest.regions_count, 2);
}

static void loaded_again(void **state)
{
	struct rf_msg_event ev;

	fake_sealed();
	ev = fake_event(RF_EVENT_RELOADED);
	ev.life.adopted = 1234;
	assert_int_equal(fake_judge(&ev), 0);
	assert_string_equal(fake_text(fake_line(0), "kind"), "load");
	assert_string_equal(fake_text(fake_line(0), "outcome"), "still sealed");
	assert_non_null(strstr(fake_text(fake_line(0), "detail"), " 1234 bytes"));
	assert_regions_known();
	assert_non_null(guest.kernel);
	assert_int_equal(fake.verdicts, 2);
}

static void halted(void **state)
{
	static const struct {
		uint32_t cause;
		const char *says;
	} rows[] = {
		{ RF_CAUSE_TEXT, "other sealed memory" },
		{ RF_CAUSE_NOBODY, "which kernel" },
		{ RF_CAUSE_DENIED, "was refused" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rf_msg_event ev = fake_event(RF_EVENT_HALTED);

		ev.life.cause = rows[i].cause;
		fake_notified();
		assert_int_equal(fake_judge(&ev), 0);
		assert_string_equal(fake_text(fake_line(0), "kind"), "load");
		assert_string_equal(fake_text(fake_line(0), "outcome"), "halted: no vCPU runs");
		assert_non_null(strstr(fake_text(fake_line(0), "detail"), rows[i].says));
		assert_non_null(strstr(fake_notified(), rows[i].says));
	}
	assert_int_equal(fake.verdicts, 0);
}

static void unsealed(void **state)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_UNSEALED);

	ev.regs.rip = UINT64_C(0xffffffff81234567);
	assert_int_equal(fake_judge(&ev), 0);
	assert_string_equal(fake_text(fake_line(0), "kind"), "unsealed");
	assert_string_equal(fake_text(fake_line(0), "outcome"), "not sealed for unsealed_alert_ms");
	assert_non_null(strstr(fake_text(fake_line(0), "detail"), "0xffffffff81234567"));
	assert_non_null(strstr(fake_notified(), "not sealed"));
	assert_int_equal(fake.verdicts, 0);
	/* A line that cannot be written is an error, as any other's. */
	fake_log_full();
	assert_int_not_equal(rf_guest_event(&guest, &ev), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fake_setup, fake_teardown)
		T(found_and_watched),
		T(not_recognised),
		T(not_watched),
		T(connection_lost),
		T(already_running),
		T(already_running_not_sealed),
		T(arrives_with_a_forged_entry),
		T(arrives_with_an_entry_in_data),
		T(arrives_and_is_read_again),
		T(log_is_full),
		T(sealed),
		T(permissions_differ),
		T(permissions_unknown),
		T(no_site_table),
		T(seal_fails),
		T(not_measured),
		T(bounds_make_no_sense),
		T(bounds_that_are_no_pages),
		T(policy_seals_nothing),
		T(policy_seals_text),
		T(policy_seals_rodata),
		T(runs_unfound),
		T(unknown_event),
		T(reset_forgets),
		T(causes),
		T(told_before_it_is_forgotten),
		T(loaded_again),
		T(halted),
		T(unsealed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
