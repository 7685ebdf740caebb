/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks of a made-up kernel (fake_types.h), and what they say. Behind cmocka.h. */
#ifndef RF_TESTS_UNIT_CHECKING_H
#define RF_TESTS_UNIT_CHECKING_H

#include <string.h>

#include "introspection/checks/check.h"
#include "tests/unit/fake_types.h"

#define MODULES (FAKE_BASE + 0x40100)
#define BPF (FAKE_BASE + 0x40200)
#define NOBODY (FAKE_HEAP + 0x20000)

static struct rf_kernel *kernel;
static struct rf_checks *checks;
static struct rf_check_finding told[RF_FINDINGS_MAX];
static unsigned int told_count;
static struct rf_check_result result;

/* The only one of the list, "tracer": neither foreign nor forced; 0x1000 bytes of code. */
static inline void list_module(uint64_t module, uint64_t code)
{
	const uint64_t in_list = module + 8;

	fake_symbol("modules", MODULES);
	fake_member("module", "list", 8, 16);
	fake_member("module", "name", 0x20, 56);
	fake_member("module", "taints", 0x70, 8);
	fake_list(MODULES, &in_list, 1);
	memcpy(fake_bytes + (module + 0x20) % FAKE_SIZE, "tracer", 7);
	fake_u64(module + 0x60, code);
	fake_u64(module + 0x68, 0x1000);
}

/* known: a module or program that the operator has named, NULL none. */
static inline void begin_with(bool live, const char *known)
{
	static const char *names[1];
	struct rf_checks_options options = { .live = live, .known = { names, known != NULL } };
	struct rf_memory m = fake_memory();
	struct rf_paging p = { { 0 }, 4 };

	names[0] = known;
	rf_checks_destroy(checks);
	assert_int_equal(rf_checks_create(kernel, &m, &p, &options, &checks), 0);
}

static inline int teardown(void **state)
{
	rf_checks_destroy(checks);
	checks = NULL;
	return 0;
}

static inline int note(void *ctx, const struct rf_check_finding *f)
{
	told[told_count++] = *f;
	return 0;
}

static inline enum rf_check_state run_begun(const struct rf_check *check)
{
	told_count = 0;
	assert_int_equal(rf_checks_run(checks, check, note, NULL, &result), 0);
	assert_string_not_equal(rf_check_state_text(result.state), "");
	return result.state;
}

/* Pages that rf_pt_walk() finds, and what stands in them. */
static inline void map(uint64_t gva, uint64_t pages, bool user, bool executable)
{
	fake_mappings[fake_mappings_count++] = (struct rf_mapping){ .gva = { gva },
								    .gpa = { gva % FAKE_SIZE },
								    .size = pages * RF_PAGE_SIZE,
								    .user = user,
								    .executable = executable };
}

static inline void put(uint64_t gva, const char *bytes, size_t len)
{
	memcpy(fake_bytes + gva % FAKE_SIZE, bytes, len);
}

#endif
