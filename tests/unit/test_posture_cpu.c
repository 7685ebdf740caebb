// SPDX-License-Identifier: LGPL-2.1-or-later
/* Rows of posture that are about processors and page tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/posturing.h"

#define CPU (FAKE_BASE + 0x41000) /* boot_cpu_data */
#define FLAGS (FAKE_BASE + 0x42000)
#define BUGS (FAKE_BASE + 0x43000)
#define NAMES (FAKE_BASE + 0x44000)
#define PAGING (UINT64_C(1) << 31)
#define SMEP (UINT64_C(1) << 20)

/* Two words of flags, one of bugs. */
static void know_flags(void)
{
	fake_symbol("boot_cpu_data", CPU);
	fake_symbol("x86_cap_flags", FLAGS);
	fake_symbol("x86_bug_flags", BUGS);
	fake_extent(FLAGS, 2 * 32 * 8);
	fake_extent(BUGS, 32 * 8);
	fake_member("cpuinfo_x86", "x86_capability", 0x20, 12);
}

static void name_bit(uint64_t table, unsigned int bit, const char *name)
{
	static unsigned int used;
	uint64_t at = NAMES + used++ % 64 * 32;

	fake_u64(table + bit * 8, at);
	memcpy(fake_bytes + at % FAKE_SIZE, name, strlen(name) + 1);
}

static void set_bit(unsigned int bit, bool on)
{
	uint8_t *byte = &fake_bytes[(CPU + 0x20 + bit / 8) % FAKE_SIZE];

	*byte = (uint8_t)(on ? *byte | 1u << bit % 8 : *byte & ~(1u << bit % 8));
}

static const struct rf_reading smep = { rf_read_flag, "smep", RF_IS, 1,
					.absent = RF_ABSENT_UNKNOWN };

static void a_flag(void **state)
{
	know_flags();
	assert_int_equal(look_by(smep), RF_POSTURE_UNKNOWN);
	name_bit(FLAGS, 3, "sme");
	name_bit(FLAGS, 39, "smep");
	name_bit(FLAGS, 40, "smep2");
	set_bit(3, true);
	set_bit(40, true);
	assert_int_equal(look_by(smep), RF_POSTURE_WEAK);
	set_bit(39, true);
	assert_int_equal(look_by(smep), RF_POSTURE_GOOD);
	assert_string_equal(fact.by, "processor's flag smep");
}

/* Of the word behind those of flags. */
static void a_bug(void **state)
{
	const struct rf_reading r = { rf_read_bug, "mds", RF_IS, 0, .absent = RF_ABSENT_UNKNOWN };

	know_flags();
	name_bit(FLAGS, 1, "mds"); /* no bug of that name is meant */
	assert_int_equal(look_by(r), RF_POSTURE_UNKNOWN);
	name_bit(BUGS, 1, "mds");
	set_bit(1, true);
	assert_int_equal(look_by(r), RF_POSTURE_GOOD);
	set_bit(65, true);
	assert_int_equal(look_by(r), RF_POSTURE_WEAK);
}

static void flags_that_do_not_fit(void **state)
{
	static const uint64_t sizes[] = { 0, 8, 3 * 32 * 8, UINT64_C(1) << 40 };

	for (unsigned int i = 0; i < 4; i++) {
		setup(NULL);
		fake_symbol("boot_cpu_data", CPU);
		fake_symbol("x86_cap_flags", FLAGS);
		fake_member("cpuinfo_x86", "x86_capability", 0x20, 12);
		fake_extent(FLAGS, sizes[i]);
		name_bit(FLAGS, 0, "smep");
		set_bit(0, true);
		assert_int_equal(look_by(smep), RF_POSTURE_UNKNOWN);
	}
	setup(NULL);
	know_flags();
	fake_u64(FLAGS, GONE);
	name_bit(FLAGS, 1, "smep");
	set_bit(1, true);
	assert_int_equal(look_by(smep), RF_POSTURE_UNKNOWN);
	setup(NULL);
	fake_symbol("boot_cpu_data", CPU);
	fake_symbol("x86_cap_flags", FLAGS);
	fake_member("cpuinfo_x86", "x86_capability", 0x20, UINT64_C(1) << 32);
	assert_int_equal(look_by(smep), RF_POSTURE_UNKNOWN);
}

/* --- registers ------------------------------------------------------------------------------ */

static void registers_come_first(void **state)
{
	const struct rf_posture_row *row = row_named("smep");

	know_flags();
	name_bit(FLAGS, 5, "smep");
	assert_int_equal(look_at(row), RF_POSTURE_WEAK);
	set_bit(5, true);
	assert_int_equal(look_at(row), RF_POSTURE_GOOD);
	assert_string_equal(fact.by, "processor's flag smep");
	fake_symbol("cr4_pinned_bits", AT);
	assert_int_equal(look_at(row), RF_POSTURE_WEAK);
	fake_u64(AT, SMEP);
	assert_int_equal(look_at(row), RF_POSTURE_GOOD);
	assert_string_equal(fact.by, "cr4_pinned_bits");
	cpu_count = 2;
	cpus[0] = cpus[1] = (struct rf_posture_cpu){ PAGING, 0 };
	assert_int_equal(look_at(row), RF_POSTURE_WEAK);
	assert_string_equal(fact.by, "CR4");
	cpus[0].cr4 = SMEP;
	assert_int_equal(look_at(row), RF_POSTURE_WEAK);
	assert_string_equal(fact.found, "on for 1 of 2 processors");
	cpus[1].cr0 = 0; /* it has never run */
	assert_int_equal(look_at(row), RF_POSTURE_GOOD);
	cpus[0].cr0 = 0; /* as if there were no registers */
	assert_int_equal(look_at(row), RF_POSTURE_GOOD);
	assert_string_equal(fact.by, "cr4_pinned_bits");
}

static void write_protect(void **state)
{
	const struct rf_posture_row *row = row_named("write-protect");

	assert_int_equal(look_at(row), RF_POSTURE_UNKNOWN);
	assert_non_null(strstr(fact.unknown, "virsh dump --memory-only"));
	cpu_count = 1;
	cpus[0] = (struct rf_posture_cpu){ PAGING, UINT64_MAX };
	assert_int_equal(look_at(row), RF_POSTURE_WEAK);
	cpus[0].cr0 |= 1u << 16;
	assert_int_equal(look_at(row), RF_POSTURE_GOOD);
}

/* --- vulnerabilities -------------------------------------------------------------------------- */

static void vulnerabilities(void **state)
{
	const struct rf_posture_row *row = row_named("vulnerabilities");

	know_flags();
	assert_int_equal(look_at(row), RF_POSTURE_UNKNOWN);
	name_bit(BUGS, 1, "mds");
	name_bit(BUGS, 2, "taa");
	assert_int_equal(look_at(row), RF_POSTURE_GOOD);
	assert_string_equal(fact.found, "none of 2");
	set_bit(65, true); /* and no mds_mitigation */
	assert_int_equal(look_at(row), RF_POSTURE_UNKNOWN);
	fake_symbol("mds_mitigation", AT);
	fake_symbol("taa_mitigation", AT + 8);
	assert_int_equal(look_at(row), RF_POSTURE_WEAK);
	assert_string_equal(fact.found, "mds");
	fake_u64(AT, 2); /* which may be what the kernel calls vulnerable */
	assert_int_equal(look_at(row), RF_POSTURE_UNKNOWN);
	assert_non_null(strstr(fact.unknown, "MDS_MITIGATION_VMWERV"));
	fake_enumerator("MDS_MITIGATION_VMWERV", 3);
	assert_int_equal(look_at(row), RF_POSTURE_GOOD);
	set_bit(66, true);
	fake_u64(AT + 8, 1);
	assert_int_equal(look_at(row), RF_POSTURE_UNKNOWN);
	fake_enumerator("TAA_MITIGATION_UCODE_NEEDED", 1);
	assert_int_equal(look_at(row), RF_POSTURE_WEAK);
	assert_string_equal(fact.found, "taa");
	fake_u64(AT, 0);
	assert_int_equal(look_at(row), RF_POSTURE_WEAK);
	assert_string_equal(fact.found, "mds, taa");
	fake_u64(AT + 8, 2);
	fake_u64(AT, 3); /* attempted, by a processor that does not know how */
	assert_int_equal(look_at(row), RF_POSTURE_WEAK);
	assert_string_equal(fact.found, "mds");
}

/* The processor has one bug, and the kernel is in that state against it. */
static void have_bug(const char *bug, const char *variable, uint64_t value)
{
	setup(NULL);
	know_flags();
	name_bit(BUGS, 1, bug);
	set_bit(65, true);
	fake_symbol(variable, AT);
	fake_u64(AT, value);
}

/* "Vulnerable, KVM: ...": guests of this kernel's are kept off, and nobody else. */
static void half_of_a_mitigation(void **state)
{
	const struct rf_posture_row *row = row_named("vulnerabilities");

	have_bug("its", "its_mitigation", 1);
	fake_enumerator("ITS_MITIGATION_VMEXIT_ONLY", 1);
	assert_int_equal(look_at(row), RF_POSTURE_WEAK);
	assert_string_equal(fact.found, "its");
	fake_u64(AT, 2);
	assert_int_equal(look_at(row), RF_POSTURE_GOOD);
	have_bug("bhi", "bhi_mitigation", 2);
	assert_int_equal(look_at(row), RF_POSTURE_UNKNOWN);
	fake_enumerator("BHI_MITIGATION_ON", 1); /* as in 6.1, which has no more of them */
	assert_int_equal(look_at(row), RF_POSTURE_GOOD);
	fake_enumerator("BHI_MITIGATION_VMEXIT_ONLY", 2);
	assert_int_equal(look_at(row), RF_POSTURE_WEAK);
	assert_string_equal(fact.found, "bhi");
	fake_u64(AT, 1);
	assert_int_equal(look_at(row), RF_POSTURE_GOOD);
}

static void have_spectre(uint64_t value)
{
	have_bug("spectre_v2", "spectre_v2_enabled", value);
	fake_enumerator("SPECTRE_V2_LFENCE", 2);
	fake_enumerator("SPECTRE_V2_EIBRS", 3);
	fake_enumerator("SPECTRE_V2_EIBRS_RETPOLINE", 4);
	fake_enumerator("SPECTRE_V2_EIBRS_LFENCE", 5);
}

/* eIBRS does not help against who may bring BPF programs. */
static void spectre_by_bpf(void **state)
{
	const struct rf_posture_row *row = row_named("vulnerabilities");

	for (uint64_t value = 1; value < 6; value++) {
		have_spectre(value);
		assert_int_equal(look_at(row), value == 2 ? RF_POSTURE_WEAK : RF_POSTURE_GOOD);
		fake_symbol("sysctl_unprivileged_bpf_disabled", AT + 0x10);
		assert_int_equal(look_at(row),
				 value == 2 || value == 3 ? RF_POSTURE_WEAK : RF_POSTURE_GOOD);
		fake_symbol("sched_smt_present", AT + 0x20);
		fake_u64(AT + 0x20, 1);
		assert_int_equal(look_at(row), value == 2 || value == 3 || value == 5
						       ? RF_POSTURE_WEAK
						       : RF_POSTURE_GOOD);
		fake_u64(AT + 0x10, 2);
		assert_int_equal(look_at(row), value == 2 ? RF_POSTURE_WEAK : RF_POSTURE_GOOD);
	}
	have_spectre(3);
	fake_symbol("bpf_map_new_fd", FAKE_STEXT); /* who may, is kept elsewhere */
	assert_int_equal(look_at(row), RF_POSTURE_UNKNOWN);
	have_spectre(3);
	fake_symbol("sysctl_unprivileged_bpf_disabled", GONE);
	assert_int_equal(look_at(row), RF_POSTURE_UNKNOWN);
	have_spectre(5);
	fake_symbol("sched_smt_present", GONE);
	assert_int_equal(look_at(row), RF_POSTURE_UNKNOWN);
}

static void meltdown(void **state)
{
	const struct rf_posture_row *row = row_named("pti");

	know_flags();
	assert_int_equal(look_at(row), RF_POSTURE_UNKNOWN);
	name_bit(BUGS, 0, "cpu_meltdown");
	assert_int_equal(look_at(row), RF_POSTURE_GOOD);
	set_bit(64, true);
	assert_int_equal(look_at(row), RF_POSTURE_WEAK);
	name_bit(FLAGS, 33, "pti");
	assert_int_equal(look_at(row), RF_POSTURE_WEAK);
	set_bit(33, true);
	assert_int_equal(look_at(row), RF_POSTURE_GOOD);
}

/* --- page tables ------------------------------------------------------------------- */

static void map(uint64_t size, bool writable, bool executable)
{
	fake_mappings[fake_mappings_count++] = (struct rf_mapping){
		.gva = rf_gva_of(FAKE_BASE + 0x1000),
		.size = size,
		.writable = writable,
		.executable = executable,
	};
}

static void pages(void **state)
{
	const struct rf_posture_row *all = row_named("no-wx-pages");
	const struct rf_posture_row *modules = row_named("module-rwx");

	assert_int_equal(look_at(all), RF_POSTURE_UNKNOWN);	/* nothing is mapped */
	assert_int_equal(look_at(modules), RF_POSTURE_UNKNOWN); /* no symbol _end */
	fake_symbol("_end", FAKE_BASE + 0x80000);
	assert_int_equal(look_at(modules), RF_POSTURE_UNKNOWN);
	assert_non_null(strstr(fact.unknown, "no module is loaded"));
	map(0x3000, true, false);
	assert_int_equal(look_at(modules), RF_POSTURE_UNKNOWN);
	map(0x2000, false, true);
	assert_int_equal(look_at(all), RF_POSTURE_GOOD);
	assert_int_equal(look_at(modules), RF_POSTURE_GOOD);
	map(0x5000, true, true);
	assert_int_equal(look_at(all), RF_POSTURE_WEAK);
	assert_string_equal(fact.found, "5 pages of the kernel's half are writable and executable");
	assert_string_equal(fact.by, "page tables, first 0xffffffff80001000");
	assert_int_equal(look_at(modules), RF_POSTURE_WEAK);
}

static void the_image(void **state)
{
	const struct rf_posture_row *row = row_named("kernel-rwx");

	fake_symbol("_sdata", FAKE_BASE + 0x20000);
	assert_int_equal(look_at(row), RF_POSTURE_UNKNOWN);
	fake_symbol("_edata", FAKE_BASE + 0x30000);
	assert_int_equal(look_at(row), RF_POSTURE_UNKNOWN); /* nothing is mapped */
	map(0x1000, false, false);
	assert_int_equal(look_at(row), RF_POSTURE_GOOD);
	fake_mappings_count = 0;
	map(0x1000, true, false);
	assert_int_equal(look_at(row), RF_POSTURE_WEAK);
	assert_string_equal(fact.found, "1 pages of text are writable");
	fake_mappings_count = 0;
	map(0x1000, false, true);
	assert_int_equal(look_at(row), RF_POSTURE_WEAK);
	assert_string_equal(fact.found, "1 pages of constants are executable");
}

static void where_memory_is_mapped(void **state)
{
	const struct rf_posture_row *row = row_named("kaslr-memory");

	assert_int_equal(look_at(row), RF_POSTURE_WEAK);
	fake_symbol("page_offset_base", AT);
	fake_u64(AT, UINT64_C(0xffff888000000000));
	assert_int_equal(look_at(row), RF_POSTURE_WEAK);
	fake_u64(AT, UINT64_C(0xffff9c0000000000));
	assert_int_equal(look_at(row), RF_POSTURE_GOOD);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_flag),
		TEST(a_bug),
		TEST(flags_that_do_not_fit),
		TEST(registers_come_first),
		TEST(write_protect),
		TEST(vulnerabilities),
		TEST(half_of_a_mitigation),
		TEST(spectre_by_bpf),
		TEST(meltdown),
		TEST(pages),
		TEST(the_image),
		TEST(where_memory_is_mapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
