// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdio.h>

#include "cli/doctor_table.h"
#include "cli/output.h"

struct findings {
	enum rf_facility_state state[RF_FACILITIES_MAX]; /* by row of rf_facilities */
	char detail[RF_FACILITIES_MAX][RF_DETAIL_MAX];
};

static int print_as_json(const struct findings *found)
{
	json_t *rows = json_array(), *off = json_array(), *o;

	for (size_t i = 0; rf_facilities[i].name; i++) {
		const struct rf_facility *f = &rf_facilities[i];
		char detail[RF_DETAIL_MAX];

		rf_safe(detail, sizeof(detail), found->detail[i]);
		json_array_append_new(rows,
				      json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "facility",
						f->name, "need", rf_need_text(f->need), "state",
						rf_facility_state_text(found->state[i]), "detail",
						detail, "lost", f->lost, "fix", f->fix));
		if (rf_facility_is_off(f, found->state[i]))
			json_array_append_new(off, json_string(f->weakens));
	}
	o = json_pack("{s:b, s:b, s:o, s:o}", "ok", rf_facilities_protect(found->state), "required",
		      rf_facilities_required(found->state), "off", off, "facilities", rows);
	return rf_print_json(o);
}

static void print_sum(const struct findings *found)
{
	if (!rf_facilities_required(found->state)) {
		printf("\nThis host does not offer all that ringfence requires.\n");
		return;
	}
	printf("\nThis host offers all that ringfence requires.\n");
	for (size_t i = 0; rf_facilities[i].name; i++)
		if (rf_facility_is_off(&rf_facilities[i], found->state[i]))
			printf("Off or weaker on this host: %s (%s is %s).\n",
			       rf_facilities[i].weakens, rf_facilities[i].name,
			       rf_facility_state_text(found->state[i]));
}

static int print_table(const struct findings *found)
{
	static const char *const titles[] = { "FACILITY", "NEED", "STATE", "DETAIL" };
	struct rf_listing *t = rf_listing_create(titles, 4);

	if (!t)
		return rf_fail(RF_EXIT_INTERNAL, "there is no answer", "free some memory",
			       "no memory for the table");
	for (size_t i = 0; rf_facilities[i].name; i++)
		if (rf_listing_row(t, (const char *[]){ rf_facilities[i].name,
							rf_need_text(rf_facilities[i].need),
							rf_facility_state_text(found->state[i]),
							found->detail[i] }))
			break;
	rf_listing_print(t);
	rf_listing_destroy(t);
	for (size_t i = 0; rf_facilities[i].name; i++) {
		const struct rf_facility *f = &rf_facilities[i];

		if (found->state[i] != RF_FACILITY_PRESENT && f->need != RF_NEED_NONE)
			printf("\n%s (%s) is %s\n  lost: %s\n  fix:  %s\n", f->name,
			       rf_need_text(f->need), rf_facility_state_text(found->state[i]),
			       f->lost, f->fix);
	}
	print_sum(found);
	return rf_flush();
}

static int doctor(int argc, char **argv)
{
	static struct findings found;
	const char *device = "/dev/kvm";
	struct rf_operands operands;
	bool json = false;
	struct rf_probe kvm;
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
	for (size_t i = 0; rf_facilities[i].name; i++)
		found.state[i] = rf_facility_check(&rf_facilities[i], &kvm, found.detail[i]);
	code = json ? print_as_json(&found) : print_table(&found);
	if (code)
		return code;
	return rf_facilities_protect(found.state) ? RF_EXIT_OK : RF_EXIT_NO;
}

const struct rf_command rf_command_doctor = {
	.name = "doctor",
	.usage = "[--json] [--kvm PATH]",
	.summary = "Check what this host offers, what is lost without it, and how to fix it",
	.help = "  -j, --json      as JSON\n"
		"      --kvm PATH  the KVM device to ask (/dev/kvm)\n"
		"\n"
		"The exit code is 0 when everything that is required is present and no protection\n"
		"of README's table is off or weaker here than elsewhere, else 1.\n",
	.run = doctor,
};
