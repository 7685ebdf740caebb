// SPDX-License-Identifier: LGPL-2.1-or-later
/* From one store, emulation failure or MSR write to its verdict, its fault and its line. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_monitor.h"

#define SITE (IMAGE_GPA + 0x1500)

enum { P = 1, W = 2, U = 4, RSVD = 8 };

static int setup(void **state)
{
	int err = fake_setup(state);

	if (err)
		return err;
	fake_sealed();
	/* What stored: two bytes before RIP, and the registers as they were. */
	fake.store = (struct rf_store){ .rip = rf_gva_of(IMAGE_GVA + 0x2002),
					.insn_len = 2,
					.target = rf_gva_of(TABLE_GVA),
					.gpa = rf_gpa_of(TABLE),
					.operand = rf_gva_of(TABLE_GVA),
					.size = 8,
					.exact = true,
					.text = "mov qword ptr [rdi], rsi" };
	for (unsigned int i = 0; i < 16; i++)
		fake.store.before.gpr[i] = 0x2000 + i;
	fake.store.before.rflags = 0x10202;
	fake.patch = (struct rf_patch_result){ .verdict = RF_PATCH_STEP,
					       .at = 0x1400,
					       .why = "int3 on the first byte" };
	return 0;
}

static void assert_line(const char *verdict, const char *rule, const char *outcome)
{
	json_t *line = fake_line(0);

	assert_string_equal(fake_text(line, "verdict"), verdict);
	assert_string_equal(fake_text(line, "rule"), rule);
	assert_string_equal(fake_text(line, "outcome"), outcome);
}

static void assert_fault(uint32_t vector, uint32_t error, uint64_t cr2)
{
	const struct rf_msg_verdict *v = fake_verdict();

	assert_int_equal(v->verdict, RF_VERDICT_DENY);
	assert_int_equal(v->vector, vector);
	assert_int_equal(v->error_code, error);
	if (vector == 14)
		assert_int_equal(v->cr2, cr2);
}

/* As if the store had never run, or as the event has them. */
static void assert_registers(const struct rf_msg_event *as_they_are)
{
	const struct rf_msg_verdict *v = fake_verdict();

	assert_memory_equal(v->gpr, as_they_are ? as_they_are->regs.gpr : fake.store.before.gpr,
			    sizeof(v->gpr));
	assert_int_equal(v->rip, as_they_are ? as_they_are->regs.rip : fake.store.rip.v);
	assert_int_equal(v->rflags,
			 as_they_are ? as_they_are->regs.rflags : fake.store.before.rflags);
}

/* --- text --- */

/* Allowed patches are on the fence's trail: no line, but policy has its say. */
static void legal(enum rf_patch_verdict verdict)
{
	struct rf_msg_event ev = fake_write_event(SITE, "\xcc", 1);
	size_t lines = fake_lines();

	fake.patch.verdict = verdict;
	fake.patching.last_tail = 7;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_SETTLE);
	assert_int_equal(fake.judged, 1);
	assert_int_equal(fake.judged_at.v, IMAGE_GVA + 0x1500);
	assert_int_equal(fake.judged_last_tail, 7);
	assert_int_equal(fake.refreshed, 0);
	assert_int_equal(fake_lines(), lines);
}

static void legal_step(void **state)
{
	legal(RF_PATCH_STEP);
}

static void legal_instruction(void **state)
{
	legal(RF_PATCH_DONE);
}

/* What the table did not know, the guest is asked for once. */
static void legal_since(void **state)
{
	struct rf_msg_event ev = fake_write_event(SITE, "\xcc", 1);

	fake.patch.verdict = RF_PATCH_NOT_A_SITE;
	fake.after_refresh = RF_PATCH_STEP;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_SETTLE);
	assert_int_equal(fake.judged, 2);
	assert_int_equal(fake.refreshed, 1);
	/* It cannot be asked: not known is not legal. */
	fake.after_refresh = 0;
	fake.refresh_err = -EFAULT;
	ev.id++;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_line("blocked", "text-not-a-patch-site", "page fault at the store");
}

static void the_line(void **state)
{
	struct rf_msg_event ev = fake_write_event(SITE, "\xe9\x01\x02\x03\x04", 5);
	json_t *line, *part;

	fake.patch.verdict = RF_PATCH_BAD_INSN;
	memcpy(fake.ram + 0x1500, "\x0f\x1f\x44\x00\x00", 5);
	ev.regs.kernel_gs_base = 222;
	ev.regs.gs_base = 111;
	fake_judge(&ev);
	line = fake_line(0);
	assert_int_equal(json_integer_value(json_object_get(line, "event")), ev.id);
	assert_int_equal(json_integer_value(json_object_get(line, "vcpu")), 1);
	assert_string_equal(fake_text(line, "kind"), "write");
	assert_string_equal(fake_text(line, "region"), "text");
	assert_string_equal(fake_text(line, "gpa"), "0x1001500");
	assert_int_equal(json_integer_value(json_object_get(line, "len")), 5);
	assert_string_equal(fake_text(line, "old"), "0f1f440000");
	assert_string_equal(fake_text(line, "new"), "e901020304");
	assert_string_equal(fake_text(line, "disassembly"), fake.store.text);
	assert_string_equal(fake_text(line, "detail"), fake.patch.why);
	assert_string_equal(fake_text(line, "rip"), "0xffffffff81002002");
	part = json_object_get(line, "target");
	assert_string_equal(fake_text(part, "symbol"), "entry_SYSCALL_64");
	assert_string_equal(fake_text(part, "offset"), "0x480");
	part = json_object_get(line, "writer");
	assert_string_equal(fake_text(part, "symbol"), "commit_creds");
	part = json_object_get(line, "task");
	assert_string_equal(fake_text(part, "comm"), "insmod");
	assert_int_equal(json_integer_value(json_object_get(part, "pid")), 111);
	/* In user mode the kernel's per-CPU base is in the other register. */
	ev.id++;
	ev.regs.cpl = 3;
	fake.store.rip = rf_gva_of(UINT64_C(0xffffffffc0000123));
	fake_judge(&ev);
	line = fake_line(0);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(line, "task"), "pid")),
			 222);
	assert_string_equal(fake_text(json_object_get(line, "writer"), "module"), "evil");
}

static void illegal_patches(void **state)
{
	static const struct {
		enum rf_patch_verdict verdict;
		const char *rule;
	} rows[] = {
		{ RF_PATCH_NOT_A_SITE, "text-not-a-patch-site" },
		{ RF_PATCH_BAD_STEP, "text-illegal-step" },
		{ RF_PATCH_BAD_INSN, "text-illegal-instruction" },
		{ 0, "undecided" },
		{ 77, "undecided" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rf_msg_event ev = fake_write_event(SITE, "\x90", 1);

		fake.patch.verdict = rows[i].verdict;
		assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
		assert_line("blocked", rows[i].rule, "page fault at the store");
	}
}

/* No table, or sealed text that cannot be read: not known is not legal. */
static void undecided(void **state)
{
	struct rf_msg_event ev = fake_write_event(SITE, "\xcc", 1);

	fake.judge_err = -EFAULT;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_line("blocked", "undecided", "page fault at the store");
	rf_textpatch_destroy(guest.patches);
	guest.patches = NULL;
	fake.judge_err = 0;
	ev.id++;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_line("blocked", "undecided", "page fault at the store");
	assert_int_equal(fake.judged, 1);
	assert_int_equal(fake.refreshed, 0);
}

/* One instruction, two sealed places: the fence could apply only the one it reported. */
static void elsewhere(void **state)
{
	static const enum rf_policy_mode modes[] = { RF_MODE_ENFORCE, RF_MODE_OBSERVE };

	for (size_t i = 0; i < 2; i++) {
		struct rf_msg_event ev = fake_write_event(SITE, "\xcc", 1);

		guest.policy.mode = modes[i];
		ev.write.elsewhere = 1;
		assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
		assert_fault(14, W | P, TABLE_GVA);
		assert_line("blocked", "text-not-a-patch-site", "page fault at the store");
		ev = fake_write_event(TABLE, "\xcc", 1);
		ev.write.elsewhere = 1;
		assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
		assert_line("blocked", "rodata-is-never-written", "page fault at the store");
	}
	assert_int_equal(fake.judged + fake.refreshed, 0);
}

/* --- rodata and faults --- */

static void rodata(void **state)
{
	struct rf_msg_event ev = fake_write_event(TABLE, "12345678", 8);

	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_fault(14, W | P, TABLE_GVA);
	assert_registers(NULL);
	assert_line("blocked", "rodata-is-never-written", "page fault at the store");
	assert_string_equal(fake_text(json_object_get(fake_line(0), "target"), "symbol"),
			    "sys_call_table");
	assert_int_equal(fake.judged, 0);
	/* What introspection was asked. */
	assert_int_equal(fake.seen.gpa.v, TABLE);
	assert_int_equal(fake.seen.len, 8);
	assert_true(fake.seen.rip_after);
	assert_int_equal(fake.seen.regs.rip, ev.regs.rip);
	assert_memory_equal(fake.seen.regs.gpr, ev.regs.gpr, sizeof(ev.regs.gpr));
}

/* By privilege and by what the guest's own tables say of the target. */
static void faults(void **state)
{
	static const struct {
		const char *what;
		uint32_t cpl;
		bool mapped, writable;
		uint32_t vector, error;
		const char *outcome;
	} rows[] = {
		{ "kernel", 0, true, false, 14, W | P, "page fault at the store" },
		{ "kernel, writable alias", 0, true, true, 14, W | P | RSVD,
		  "page fault at the store" },
		{ "kernel, not mapped", 0, false, false, 14, W | P, "page fault at the store" },
		{ "user", 3, true, false, 14, W | P | U, "page fault at the store" },
		{ "user, writable alias", 3, true, true, 13, 0,
		  "general protection fault at the store" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rf_msg_event ev = fake_write_event(TABLE, "12345678", 8);

		print_message("%s\n", rows[i].what);
		fake.maps_count = 0;
		if (rows[i].mapped)
			fake_map(rf_page_down(TABLE_GVA), rf_page_down(TABLE), 0x1000,
				 rows[i].writable, false);
		ev.regs.cpl = rows[i].cpl;
		assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
		assert_fault(rows[i].vector, rows[i].error, TABLE_GVA);
		assert_registers(NULL);
		assert_line("blocked", "rodata-is-never-written", rows[i].outcome);
	}
}

static void store_not_found(void **state)
{
	struct rf_msg_event ev = fake_write_event(TABLE, "12345678", 8);
	json_t *line;

	fake.store_err = -ENOENT;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_fault(13, 0, 0);
	assert_registers(&ev);
	assert_line("blocked", "rodata-is-never-written",
		    "general protection fault after the store (instruction not found)");
	line = fake_line(0);
	assert_null(json_object_get(line, "disassembly"));
	assert_string_equal(fake_text(line, "rip"), "0xffffffff81002004");
}

static void no_task(void **state)
{
	struct rf_msg_event ev = fake_write_event(TABLE, "1", 1);

	fake.task = false;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_null(json_object_get(fake_line(0), "task"));
}

/* Sealed to the fence, unknown here: denied, and never because of an empty table of regions. */
static void no_region(void **state)
{
	struct rf_msg_event ev = fake_write_event(OTHER_GPA, "\xcc", 1);
	json_t *line;

	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_line("blocked", "undecided", "page fault at the store");
	line = fake_line(0);
	assert_string_equal(fake_text(line, "region"), "unknown");
	assert_null(json_object_get(line, "target"));
	guest.regions_count = 0;
	ev = fake_write_event(SITE, "\xcc", 1);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_line("blocked", "undecided", "page fault at the store");
	assert_int_equal(fake.judged, 0);
}

static void old_bytes_unreadable(void **state)
{
	struct rf_msg_event ev = fake_write_event(SITE, "\xcc", 1);

	fake.read_err = -EFAULT;
	fake.patch.verdict = RF_PATCH_BAD_INSN;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_null(json_object_get(fake_line(0), "old"));
	assert_string_equal(fake_text(fake_line(0), "new"), "cc");
}

/* The protocol bounds it; the backend checks it; here nothing is read or written past the end all
 * the same. */
static void sizes(void **state)
{
	static const uint32_t bad[] = { 0, RF_EVENT_BYTES + 1, 4096, UINT32_MAX };
	struct rf_msg_event ev = fake_write_event(TABLE, "\xcc", 1);
	unsigned int verdicts = fake.verdicts;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ev.write.len = bad[i];
		assert_int_equal(rf_guest_event(&guest, &ev), -EBADMSG);
	}
	assert_int_equal(fake.verdicts, verdicts);
	ev.write.len = RF_EVENT_BYTES;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	/* Over the end of a region, and at the end of the address space. */
	ev.id++;
	ev.write.gpa = IMAGE_GPA + RODATA_AT + RODATA_SIZE - 1;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	ev.id++;
	ev.write.gpa = UINT64_MAX;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_line("blocked", "undecided", "page fault at the store");
}

static void late_msr(void **state)
{
	struct rf_msg_event ev = fake_kernel_event(UINT64_C(0xffffffffc0000010));
	json_t *line;

	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_fault(13, 0, 0);
	assert_registers(&ev);
	assert_line("blocked", "msr-is-pinned", "general protection fault at the wrmsr");
	line = fake_line(0);
	assert_string_equal(fake_text(line, "kind"), "msr");
	assert_string_equal(fake_text(line, "detail"),
			    "LSTAR (MSR 0xc0000082) <- 0xffffffffc0000010, was 0xffffffff81001080, "
			    "bits 0x41001090 changed");
	assert_string_equal(fake_text(json_object_get(line, "target"), "module"), "evil");
	assert_int_equal(fake.discovered, 1);
	guest.policy.on_denied = RF_ON_DENIED_KILL;
	ev = fake_kernel_event(LSTAR + 1);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_KILL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)
		T(legal_step),	    
		T(legal_since),	    T(legal_instruction),
		T(the_line),	    T(illegal_patches),
		T(undecided),	    T(elsewhere),
		T(rodata),	    T(faults),
		T(store_not_found), T(no_task),
		T(no_region),	    T(old_bytes_unreadable),
		T(sizes),	    T(late_msr),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
