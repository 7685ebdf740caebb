// SPDX-License-Identifier: LGPL-2.1-or-later
/* cli/doctor_table.c: what of a host's facilities makes `ringfence doctor` end with 1. The checks
 * themselves are made up here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/doctor_host.h"

#define NOT_ASKED(name)                                                                            \
	enum rf_facility_state name(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX])        \
	{                                                                                          \
		return RF_FACILITY_UNKNOWN;                                                        \
	}
NOT_ASKED(rf_host_kvm_device)
NOT_ASKED(rf_host_kvm_version)
NOT_ASKED(rf_host_kvm_create)
NOT_ASKED(rf_host_paging)
NOT_ASKED(rf_host_vmload)
NOT_ASKED(rf_host_memory)
NOT_ASKED(rf_host_memfd)
NOT_ASKED(rf_host_seccomp)
NOT_ASKED(rf_host_monitor_user)
NOT_ASKED(rf_host_huge_pages)
NOT_ASKED(rf_host_library)
NOT_ASKED(rf_host_monitor)
NOT_ASKED(rf_host_qemu)
NOT_ASKED(rf_host_btf)
NOT_ASKED(rf_host_bpf_rights)
NOT_ASKED(rf_host_kprobes)
NOT_ASKED(rf_host_cr_symbols)
NOT_ASKED(rf_host_bpffs)
NOT_ASKED(rf_host_pid_namespace)
NOT_ASKED(rf_host_cr_watch)

const char *rf_probe_name(enum rf_probe_cap c)
{
	return "KVM_CAP";
}

static enum rf_facility_state found[RF_FACILITIES_MAX];

static void all_present(void)
{
	for (size_t i = 0; i < RF_FACILITIES_MAX; i++)
		found[i] = RF_FACILITY_PRESENT;
}

static size_t row_of(const char *name)
{
	size_t i = 0;

	while (rf_facilities[i].name && strcmp(rf_facilities[i].name, name) != 0)
		i++;
	assert_non_null(rf_facilities[i].name);
	return i;
}

static void whole_host(void **state)
{
	all_present();
	assert_true(rf_facilities_required(found));
	assert_true(rf_facilities_protect(found));
}

/* One is missing, or cannot be asked for. */
static void each_row(void **state)
{
	unsigned int required = 0, weakens = 0, others = 0;

	for (size_t i = 0; rf_facilities[i].name; i++) {
		const struct rf_facility *f = &rf_facilities[i];

		for (int s = RF_FACILITY_MISSING; s <= RF_FACILITY_UNKNOWN; s++) {
			all_present();
			found[i] = (enum rf_facility_state)s;
			assert_int_equal(rf_facilities_required(found),
					 f->need != RF_NEED_REQUIRED);
			assert_int_equal(rf_facility_is_off(f, found[i]), f->weakens != NULL);
			assert_int_equal(rf_facilities_protect(found),
					 f->need != RF_NEED_REQUIRED && !f->weakens);
		}
		assert_false(rf_facility_is_off(f, RF_FACILITY_PRESENT));
		required += f->need == RF_NEED_REQUIRED;
		weakens += f->weakens != NULL;
		others += f->need != RF_NEED_REQUIRED && !f->weakens;
	}
	assert_true(required >= 15 && weakens == 2 && others >= 8);
}

static void those_that_weaken(void **state)
{
	assert_non_null(rf_facilities[row_of("control-register watch")].weakens);
	assert_non_null(rf_facilities[row_of("vmload exits")].weakens);
	assert_null(rf_facilities[row_of("huge pages")].weakens);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_host),
		cmocka_unit_test(each_row),
		cmocka_unit_test(those_that_weaken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
