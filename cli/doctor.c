// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdio.h>

#include "cli/doctor_table.h"
#include "cli/output.h"

struct finding {
	enum rf_facility_state state;
	char detail[RF_DETAIL_MAX];
};

static int print_as_json(const struct finding *found, bool ok)
{
	json_t *rows = json_array(), *o;
	int code;

	for (const struct rf_facility *f = rf_facilities; f->name; f++, found++) {
		char detail[RF_DETAIL_MAX];

		rf_safe(detail, sizeof(detail), found->detail);
		json_array_append_new(rows,
				      json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "facility",
						f->name, "need", rf_need_text(f->need), "state",
						rf_facility_state_text(found->state), "detail",
						detail, "lost", f->lost, "fix", f->fix));
	}
	o = json_pack("{s:b, s:o}", "ok", ok, "facilities", rows);
	code = rf_print_json(o);
	return code ? code : ok ? RF_EXIT_OK : RF_EXIT_NO;
}

static int print_table(const struct finding *found, bool ok)
{
	static const char *const titles[] = { "FACILITY", "NEED", "STATE", "DETAIL" };
	struct rf_table *t = rf_table_create(titles, 4);
	const struct finding *first = found;
	int code;

	if (!t)
		return rf_fail(RF_EXIT_INTERNAL, "there is no answer", "free some memory",
			       "no memory for the table");
	for (const struct rf_facility *f = rf_facilities; f->name; f++, found++)
		if (rf_table_row(t, (const char *[]){ f->name, rf_need_text(f->need),
						      rf_facility_state_text(found->state),
						      found->detail }))
			break;
	rf_table_print(t);
	rf_table_destroy(t);
	found = first;
	for (const struct rf_facility *f = rf_facilities; f->name; f++, found++)
		if (found->state != RF_FACILITY_PRESENT && f->need != RF_NEED_NONE)
			printf("\n%s (%s) is %s\n  lost: %s\n  fix:  %s\n", f->name,
			       rf_need_text(f->need), rf_facility_state_text(found->state), f->lost,
			       f->fix);
	printf("\n%s\n", ok ? "This host offers all that ringfence requires."
			    : "This host does not offer all that ringfence requires.");
	code = rf_flush();
	return code ? code : ok ? RF_EXIT_OK : RF_EXIT_NO;
}

static int doctor(int argc, char **argv)
{
	struct finding found[RF_FACILITIES_MAX] = { 0 };
	const char *device = "/dev/kvm";
	struct rf_operands operands;
	bool json = false, ok = true;
	struct rf_probe kvm;
	size_t n = 0;
	int code;

	const struct rf_option options[] = {
		{ "json", 'j', RF_OPTION_FLAG, &json, 0, 0 },
		{ "kvm", 0, RF_OPTION_TEXT, &device, 0, 0 },
		{ 0 },
	};
	code = rf_options(&rf_command_doctor, options, false, RF_EXIT_USAGE, argc, argv, &operands);
	if (code >= 0)
		return code;
	if (operands.count)
		return rf_fail(RF_EXIT_USAGE, "nothing was done", "see `ringfence doctor --help`",
			       "doctor: takes no \"%s\"", operands.items[0]);
	rf_probe_kvm(device, &kvm);
	for (const struct rf_facility *f = rf_facilities; f->name; f++, n++) {
		found[n].state = rf_facility_check(f, &kvm, found[n].detail);
		/* What cannot be asked for is not there: required and unknown is not ok. */
		if (f->need == RF_NEED_REQUIRED && found[n].state != RF_FACILITY_PRESENT)
			ok = false;
	}
	return json ? print_as_json(found, ok) : print_table(found, ok);
}

const struct rf_command rf_command_doctor = {
	.name = "doctor",
	.usage = "[--json] [--kvm PATH]",
	.summary = "Check what this host offers, what is lost without it, and how to fix it",
	.help = "  -j, --json      as JSON\n"
		"      --kvm PATH  the KVM device to ask (/dev/kvm)\n"
		"\n"
		"The exit code is 0 when everything that is required is present, else 1.\n",
	.run = doctor,
};
