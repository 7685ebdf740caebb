// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Every row of posture over memory that is the input. An even first byte: the rest is that memory,
 * repeated; each symbol, member and enumerator that a row asks for exists somewhere in it. An odd
 * one: the rest is the packed configuration of a kernel that has nothing else.
 */
#include <stdlib.h>
#include <string.h>

#include "introspection/posture/impl.h"
#include "tests/unit/fake_types.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CPU (FAKE_BASE + 0x41000) /* boot_cpu_data */
#define FLAGS (FAKE_BASE + 0x42000)
#define BUGS (FAKE_BASE + 0x43000)
#define SPECTRE (FAKE_BASE + 0x46000) /* spectre_v2_enabled */
#define CONFIG (FAKE_BASE + 0x50000)
#define CONFIG_MAX 0x10000u
#define READS 2000u

/* Tables of flags that fit each other, and states that are small numbers, which an input has. */
static void know_flags(void)
{
	fake_symbol("boot_cpu_data", CPU);
	fake_symbol("x86_cap_flags", FLAGS);
	fake_symbol("x86_bug_flags", BUGS);
	fake_extent(FLAGS, 2 * 32 * sizeof(uint64_t));
	fake_member("cpuinfo_x86", "x86_capability", 0x20, 4 * sizeof(uint32_t));
	fake_symbol("spectre_v2_enabled", SPECTRE);
	fake_enumerator("SPECTRE_V2_EIBRS", 3);
	fake_enumerator("SPECTRE_V2_EIBRS_LFENCE", 5);
}

/* In the place of what the input has there: names by which rows get to the bits, the states. */
static void name_flags(void)
{
	static const char *const names[] = { "smep", "pti", "spectre_v2", "bhi", "mds", "l1tf" };
	const uint64_t text = FAKE_BASE + 0x44000;

	memset(fake_bytes + FLAGS % FAKE_SIZE, 0, 0x200);
	memset(fake_bytes + BUGS % FAKE_SIZE, 0, 0x200);
	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		strcpy((char *)fake_bytes + (text + i * 0x20) % FAKE_SIZE, names[i]);
		fake_u64((i < 2 ? FLAGS : BUGS) + i * sizeof(uint64_t), text + i * 0x20);
	}
}

static void map(const uint8_t *data)
{
	for (unsigned int i = 0; i < FAKE_MAPPINGS; i++)
		fake_mappings[i] = (struct rf_mapping){
			.gva = rf_gva_of(FAKE_BASE + i * RF_PAGE_SIZE),
			.size = RF_PAGE_SIZE << (data[i % 4] >> 4),
			.writable = data[i % 4] >> i % 4 & 1,
			.executable = data[i % 4] >> (i + 1) % 4 & 1,
		};
	fake_mappings_count = data[0] % (FAKE_MAPPINGS + 1);
}

static struct rf_kernel *have_memory(const uint8_t *data, size_t size)
{
	struct rf_kernel *k = fake_types();

	fake_everything();
	know_flags();
	fake_fill(data, size);
	if (data[0] & 1)
		name_flags();
	map(data);
	return k;
}

static struct rf_kernel *have_config(const uint8_t *data, size_t size)
{
	struct rf_kernel *k = fake_types();

	size = size < CONFIG_MAX ? size : CONFIG_MAX;
	fake_symbol("kernel_config_data", CONFIG);
	fake_symbol("kernel_config_data_end", CONFIG + size);
	memcpy(fake_bytes + CONFIG % FAKE_SIZE, data, size);
	return k;
}

/* It ends within its buffer, and is of printable ASCII. */
static void check_text(const char *text, size_t room)
{
	size_t len = strnlen(text, room);

	if (len == room)
		abort();
	while (len--)
		if (text[len] < ' ' || text[len] > '~')
			abort();
}

static void check_fact(const struct rf_posture_fact *f)
{
	bool unknown = f->state == RF_POSTURE_UNKNOWN;

	if (f->state != RF_POSTURE_GOOD && f->state != RF_POSTURE_WEAK && !unknown)
		abort();
	check_text(f->found, sizeof(f->found));
	check_text(f->by, sizeof(f->by));
	check_text(f->unknown, sizeof(f->unknown));
	if (unknown != (*f->unknown != '\0') || unknown == (*f->found != '\0'))
		abort();
}

static void look_at_all(struct rf_posture *p)
{
	const struct rf_posture_row *row;

	for (size_t i = 0; (row = rf_posture_row(i)); i++) {
		struct rf_posture_row bounded = *row;
		struct rf_posture_fact fact;

		/* Enough for any loop to show that it is one. */
		if (!bounded.reads || bounded.reads > READS)
			bounded.reads = READS;
		memset(&fact, 0xff, sizeof(fact));
		rf_posture_look(p, &bounded, &fact);
		check_fact(&fact);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct rf_paging paging = { { 0 }, size & 4 ? 5 : 4 };
	const struct rf_checks_options options = { 0 };
	struct rf_posture_cpu cpu = { 0 };
	struct rf_posture *p;
	struct rf_checks *c;
	struct rf_kernel *k;
	struct rf_memory m;

	if (size < 9)
		return 0;
	memcpy(&cpu.cr0, data + 1, sizeof(cpu.cr0));
	cpu.cr4 = ~cpu.cr0;
	k = *data & 1 ? have_config(data + 1, size - 1)
		      : have_memory(data + 1, (size - 1) & ~(size_t)3);
	m = fake_memory();
	if (rf_checks_create(k, &m, &paging, &options, &c))
		return 0;
	if (!rf_posture_create(c, &cpu, size & 1, &p)) {
		look_at_all(p);
		rf_posture_destroy(p);
	}
	rf_checks_destroy(c);
	return 0;
}
