/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One row of posture in a made-up kernel (fake_types.h). Behind cmocka.h. */
#ifndef RF_TESTS_UNIT_POSTURING_H
#define RF_TESTS_UNIT_POSTURING_H

#include <string.h>

#include "introspection/posture/impl.h"
#include "tests/unit/fake_types.h"

#define AT (FAKE_BASE + 0x40000)
/* Of the kernel's half, and not there. */
#define GONE (UINT64_C(0xffff888000000000) + FAKE_SIZE - 0x800)

static struct rf_kernel *kernel;
static struct rf_posture_cpu cpus[4];
static size_t cpu_count;
static struct rf_posture_fact fact;

static inline int setup(void **state)
{
	kernel = fake_types();
	cpu_count = 0;
	fake_symbol("init_task", FAKE_BASE + 0x30000);
	fake_sizeof("task_struct", 0x1000);
	return 0;
}

static inline enum rf_posture_state look_at(const struct rf_posture_row *row)
{
	const struct rf_checks_options options = { 0 };
	const struct rf_memory m = fake_memory();
	const struct rf_paging paging = { { 0 }, 4 };
	struct rf_checks *c;
	struct rf_posture *p;

	assert_int_equal(rf_checks_create(kernel, &m, &paging, &options, &c), 0);
	assert_int_equal(rf_posture_create(c, cpu_count ? cpus : NULL, cpu_count, &p), 0);
	memset(&fact, 0xff, sizeof(fact));
	rf_posture_look(p, row, &fact);
	rf_posture_destroy(p);
	rf_checks_destroy(c);
	/* What is unknown says why, and nothing else; what is known says how. */
	assert_int_equal(fact.state == RF_POSTURE_UNKNOWN, *fact.unknown != '\0');
	assert_int_equal(fact.state == RF_POSTURE_UNKNOWN, *fact.found == '\0');
	assert_int_equal(fact.state == RF_POSTURE_UNKNOWN, *fact.by == '\0');
	return fact.state;
}

static inline enum rf_posture_state look_by(struct rf_reading r)
{
	const struct rf_posture_row row = { .name = "x", .readings = { r } };

	return look_at(&row);
}

static inline const struct rf_posture_row *row_named(const char *name)
{
	const struct rf_posture_row *row;

	for (size_t i = 0; (row = rf_posture_row(i)); i++)
		if (!strcmp(row->name, name))
			return row;
	fail_msg("no row %s", name);
	return NULL;
}

#endif
