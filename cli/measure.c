// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/control.h"
#include "cli/output.h"
#include "policy/measurement.h"

/* As the file is read, so that nothing is written down that `run --expect` would refuse. */
static int take(const json_t *o, struct rf_measurement *m)
{
	char *text = json_dumps(json_object_get(o, "measurement"), JSON_COMPACT);
	char why[RF_MEASUREMENT_WHY];
	int err = text ? rf_measurement_parse(text, strlen(text), why, m) : -EBADMSG;

	free(text);
	return err;
}

static int print_table(const struct rf_measurement *m)
{
	static const char *const titles[] = { "REGION", "GUEST ADDRESS", "PHYSICAL", "KIB",
					      "SHA-256" };
	struct rf_listing *t = rf_listing_create(titles, 5);

	if (!t)
		return rf_fail(RF_EXIT_INTERNAL, "nothing is shown", "free some memory",
			       "no memory for the table");
	printf("%s\n\n", m->kernel);
	for (uint32_t i = 0; i < m->count; i++) {
		const struct rf_measurement_region *r = &m->regions[i];
		char gva[24], gpa[24], kib[24];

		snprintf(gva, sizeof(gva), "0x%llx", (unsigned long long)r->gva);
		snprintf(gpa, sizeof(gpa), "0x%llx", (unsigned long long)r->gpa);
		snprintf(kib, sizeof(kib), "%llu", (unsigned long long)r->size / 1024);
		if (rf_listing_row(t, (const char *[]){ r->kind, gva, gpa, kib, r->sha256 }))
			break;
	}
	rf_listing_print(t);
	rf_listing_destroy(t);
	return rf_flush();
}

static int measure(int argc, char **argv)
{
	static const struct rf_question question = {
		.cmd = "measure",
		.nothing = "there is nothing to measure",
		.unknown = "what was sealed stays sealed; what it is now is not known",
	};
	struct rf_operands operands;
	struct rf_measurement m;
	bool json = false;
	struct rf_vm vm;
	int code, err;
	json_t *o;

	const struct rf_option options[] = {
		{ "json", 'j', RF_OPTION_FLAG, &json, 0, 0 },
		{ 0 },
	};
	code = rf_options(&rf_command_measure, options, false, RF_EXIT_USAGE, argc, argv,
			  &operands);
	if (code >= 0)
		return code;
	code = rf_vm_ask(&rf_command_measure, &operands, &question, &vm, &o);
	if (code != RF_EXIT_OK)
		return code;
	err = take(o, &m);
	json_decref(o);
	if (err)
		return rf_vm_silent(&vm, err, question.unknown);
	return json ? rf_print_json(rf_measurement_json(&m)) : print_table(&m);
}

const struct rf_command rf_command_measure = {
	.name = "measure",
	.usage = "[--json] NAME|STATE-FOLDER",
	.summary = "Measure the sealed memory of a guest, for where it moves to",
	.help = "  -j, --json   as `ringfence run --expect` reads it\n",
	.run = measure,
};
