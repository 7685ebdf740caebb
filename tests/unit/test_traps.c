// SPDX-License-Identifier: LGPL-2.1-or-later
/* Traps in sealed text: what is planted where, and what stands there for who reads text. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_tables.h"

static void planted(void **state)
{
	uint8_t seen[8], decoy[8];

	fake_sealed();
	assert_int_equal(fake.seal.count, 3);
	assert_int_equal(fake.seal.regions[2].kind, RF_REGION_IDT);
	assert_int_equal(fake.seal.regions[2].gpa, IMAGE_GPA + IDT_AT);
	assert_int_equal(fake.seal.regions[2].size, RF_PAGE_SIZE);
	assert_int_equal(fake.traps, 1);
	assert_int_equal(fake.trapped.count,
			 4); /* neither the hidden one nor the control register's */
	assert_int_equal(fake.trapped.check_ms, 1000);
	assert_int_equal(fake.trapped.cr0 | fake.trapped.cr4, 0);
	for (unsigned int i = LIDT; i <= LTR; i++) {
		const struct rf_trap_site *s = &fake.trapped.sites[i];

		assert_int_equal(s->gpa, IMAGE_GPA + CODE + i * 32);
		assert_int_equal(s->kind, RF_TRAP_LIDT + i);
		assert_int_equal(s->len, fake_insn_lengths[i]);
		assert_memory_equal(s->bytes, fake_insns[i], s->len);
	}
	/* Who reads text sees the kernel's, also in part; the fence's copy has the traps. */
	assert_int_equal(fake.ram[CODE], 0xe6);
	for (uint64_t at = 0; at < 8; at++)
		for (size_t len = 1; len + at <= 8; len++) {
			assert_int_equal(rf_memory_read(&guest.mem,
							rf_gpa_of(IMAGE_GPA + CODE + 30 + at), seen,
							len),
					 0);
			memcpy(decoy, fake.decoy + CODE + 30 + at, len);
			assert_memory_equal(seen, decoy, len);
		}
	/* The sweep finds no device there. */
	for (int i = 0; i < 40; i++)
		assert_int_equal(rf_sweep(&guest, 1u << 16), 0);
	assert_true(guest.sweeps);
	assert_int_equal(fake_count("kind", "dma"), 0);
	assert_int_equal(fake_count("kind", "table"), 0);
}

static void a_device_over_a_trap(void **state)
{
	fake_sealed();
	fake.decoy[CODE] = 0xe6;
	for (int i = 0; i < 40; i++)
		assert_int_equal(rf_sweep(&guest, 1u << 16), 0);
	assert_int_equal(fake.decoy[CODE], fake.trapped.sites[0].bytes[0]); /* the instruction's */
	assert_int_equal(fake.ram[CODE], 0xe6);
	assert_int_equal(rf_sweep_drain(&guest), 0);
	assert_int_equal(fake_count("kind", "dma"), 1);
}

static void control_registers_too(void **state)
{
	struct rf_msg_event ev;

	fake.info.cr_watch = false; /* nothing else sees them */
	fake_sealed();
	assert_int_equal(fake.trapped.count, 5);
	assert_int_equal(fake.trapped.sites[CR4].kind, RF_TRAP_MOV_CR4);
	assert_int_equal(fake.trapped.sites[CR4].reg, 1);
	assert_int_equal(fake.trapped.cr0, 0x10000);
	assert_int_equal(fake.trapped.cr4, 0xb01820);
	ev = fake_event(RF_EVENT_TRAP);
	ev.trap.gpa = IMAGE_GPA + CODE + CR4 * 32;
	ev.trap.kind = RF_TRAP_MOV_CR4;
	ev.trap.value = 0x20;
	ev.regs.cr4 = 0x100020;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_string_equal(fake_text(fake_line(0), "kind"), "control-register");
	assert_string_equal(fake_text(fake_line(0), "rule"), "control-register-is-pinned");
	assert_string_equal(fake_text(fake_line(0), "detail"), "CR4 <- 0x20, was 0x100020");
	guest.policy.mode = RF_MODE_OBSERVE;
	ev.id++;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_string_equal(fake_text(fake_line(0), "verdict"), "detected");
}

/* What has been stored over one since is shown: by that it is found. */
static void stored_over_a_trap(void **state)
{
	uint8_t seen[3];

	fake_sealed();
	assert_memory_not_equal(fake.ram + CODE, fake_insns[LIDT], 3);
	fake.ram[CODE + 1] = 0x90;
	assert_int_equal(rf_memory_read(&guest.mem, rf_gpa_of(IMAGE_GPA + CODE), seen, 3), 0);
	assert_int_equal(seen[0], fake_insns[LIDT][0]);
	assert_int_equal(seen[1], 0x90);
	assert_int_equal(seen[2], fake_insns[LIDT][2]);
}

/* kexec runs a copy of it, where a trap would be nobody's. */
static void not_in_what_is_copied(void **state)
{
	fake.copied = IMAGE_GVA + CODE + LGDT * 32 - 2048; /* it ends there */
	fake_sealed();
	assert_int_equal(fake.trapped.count, 3);
	assert_int_equal(fake.trapped.sites[0].kind, RF_TRAP_LGDT);
}

/* Rodata is sealed as such, and no page twice. */
static void idt_in_rodata(void **state)
{
	fake.moved = "idt_table";
	fake.moved_by = RODATA_AT - IDT_AT;
	fake_sealed();
	assert_int_equal(fake.seal.count, 2);
	assert_int_equal(fake.seal.regions[1].kind, RF_REGION_RODATA);
}

/* A patch site and a trap do not go together. */
static void not_where_the_kernel_patches(void **state)
{
	fake.table.kernel = 5;
	fake.table.base = IMAGE_GVA;
	fake.table.shapes[0].len = 5;
	fake.table.sites_count = 1;
	fake.table.sites[0].at = CODE - 4; /* its last byte is lidt's first */
	fake_sealed();
	assert_int_equal(fake.trapped.count, 3);
	assert_int_equal(fake.trapped.sites[0].kind, RF_TRAP_LGDT);
	assert_non_null(strstr(fake_text(fake_line(0), "detail"), "more than could be replaced"));
}

/* Text patching that the kernel's own tables allow is denied there all the same. */
static void no_patch_on_a_trap(void **state)
{
	struct rf_msg_event ev;

	fake_sealed();
	fake.patch.verdict = RF_PATCH_STEP;
	ev = fake_write_event(IMAGE_GPA + CODE + 2, "\xcc", 1);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_int_equal(fake.judged, 0);
	assert_string_equal(fake_text(fake_line(0), "detail"), "one of the traps stands there");
	ev = fake_write_event(IMAGE_GPA + CODE + 3, "\xcc", 1);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_SETTLE);
}

static void by_policy(void **state)
{
	guest.policy.pin_tables = false;
	fake_sealed();
	assert_int_equal(fake.traps, 0);
	assert_int_equal(fake.seal.count, 2);
}

/* The kernel's own patcher is replaced whether or not instructions that load are. */
static void patcher(void **state)
{
	fake.poker = IMAGE_GVA + CODE + 16;
	fake_sealed();
	assert_int_equal(fake.trapped.count, 5);
	assert_int_equal(fake.trapped.sites[1].kind, RF_TRAP_POKE);
	assert_int_equal(fake.trapped.sites[1].gpa, IMAGE_GPA + CODE + 16);
	assert_int_equal(fake.trapped.poke.how, fake.poker + 32);
	assert_int_equal(fake.trapped.poke.back, fake.poker + 16);
	assert_int_equal(fake.trapped.poke.frame, 0x40);
	assert_true(rf_traps_load(&guest));
}

static void patcher_alone(void **state)
{
	guest.policy.pin_tables = false;
	fake.poker = IMAGE_GVA + CODE + 16;
	fake_sealed();
	assert_int_equal(fake.trapped.count, 1);
	assert_int_equal(fake.trapped.check_ms, 0);
	assert_false(rf_traps_load(&guest));
	fake_new_monitor();
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_int_equal(guest.traps_count, 1);
}

static void kexec(void **state)
{
	struct rf_msg_event ev;

	fake.kexec = IMAGE_GVA + CODE + 16;
	fake_sealed();
	assert_int_equal(fake.trapped.count, 5);
	assert_int_equal(fake.trapped.sites[1].kind, RF_TRAP_KEXEC);
	assert_int_equal(fake.trapped.poke.how, 0);
	ev = fake_event(RF_EVENT_TRAP);
	ev.trap.kind = RF_TRAP_KEXEC;
	ev.trap.gpa = fake.trapped.sites[1].gpa;
	ev.trap.len = 4;
	ev.regs.rip = fake.kexec;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_int_equal(fake_verdict()->vector, 13);
	assert_int_equal(fake_verdict()->rip, fake.kexec);
	assert_string_equal(fake_text(fake_line(0), "kind"), "kexec");
	assert_string_equal(fake_text(fake_line(0), "verdict"), "blocked");
	guest.policy.on_kexec = RF_ON_KEXEC_REARM;
	ev = fake_event(RF_EVENT_TRAP);
	ev.trap.kind = RF_TRAP_KEXEC;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_string_equal(fake_text(fake_line(0), "verdict"), "allowed");
	guest.policy.on_kexec = RF_ON_KEXEC_DENY;
	guest.policy.mode = RF_MODE_OBSERVE;
	ev = fake_event(RF_EVENT_TRAP);
	ev.trap.kind = RF_TRAP_KEXEC;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_string_equal(fake_text(fake_line(0), "verdict"), "detected");
}

/* In unsealed text, or where the kernel patches, it is left alone. */
static void patcher_elsewhere(void **state)
{
	fake.poker = IMAGE_GVA - 64;
	fake_sealed();
	assert_int_equal(fake.trapped.count, 4);
	assert_int_equal(fake.trapped.poke.how, 0);
}

static void refused_by_the_fence(void **state)
{
	struct rf_msg_event ev = fake_kernel_event(LSTAR);

	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	fake.traps_err = -EILSEQ;
	ev = fake_event(RF_EVENT_WATCH);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_KILL);
}

static void taken_over(void **state)
{
	char sha[65];

	fake_sealed();
	strcpy(sha, guest.regions[0].sha256);
	fake_new_monitor();
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_int_equal(guest.traps_count, 4);
	assert_string_equal(guest.regions[0].sha256, sha); /* the traps are not measured */
	assert_true(guest.tables_known);
	assert_int_equal(fake.traps, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fake_tables_setup, fake_teardown)
		T(planted),
		T(a_device_over_a_trap),
		T(control_registers_too),
		T(stored_over_a_trap),
		T(not_in_what_is_copied),
		T(idt_in_rodata),
		T(not_where_the_kernel_patches),
		T(no_patch_on_a_trap),
		T(by_policy),
		T(patcher),
		T(patcher_alone),
		T(patcher_elsewhere),
		T(kexec),
		T(refused_by_the_fence),
		T(taken_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
