// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/control.h"
#include "cli/output.h"
#include "policy/measurement.h"

#define MEASURE_MS 60000 /* on a slow machine; it takes about a tenth of a second */
#define ASK_AGAIN_MS 50
#define SILENCES 5 /* of RF_CONTROL_TIMEOUT_MS: a busy host, or a monitor that is started again */

/* Asks until the monitor is done. 0 and *out, or -errno. */
static int ask(const char *state_dir, json_t **out)
{
	static const struct timespec pause = { .tv_nsec = ASK_AGAIN_MS * 1000000 };
	int64_t until = rf_now_ms() + MEASURE_MS;
	unsigned int silent = 0;

	for (;;) {
		json_t *o, *done;
		int err = rf_control_ask(state_dir, "measure", &o);

		if (err == -ETIMEDOUT && ++silent < SILENCES)
			continue;
		if (err)
			return err;
		done = json_object_get(o, "done");
		if (json_is_true(done) || json_is_string(json_object_get(o, "error"))) {
			*out = o;
			return 0;
		}
		err = json_is_false(done) ? -ETIMEDOUT : -EBADMSG;
		json_decref(o);
		if (err == -EBADMSG || rf_now_ms() > until)
			return err;
		nanosleep(&pause, NULL);
	}
}

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
	struct rf_table *t = rf_table_create(titles, 5);

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
		if (rf_table_row(t, (const char *[]){ r->kind, gva, gpa, kib, r->sha256 }))
			break;
	}
	rf_table_print(t);
	rf_table_destroy(t);
	return rf_flush();
}

static int measure(int argc, char **argv)
{
	struct rf_operands operands;
	struct rf_measurement m;
	bool json = false;
	char safe[256];
	const char *error;
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
	if (operands.count != 1)
		return rf_fail(RF_EXIT_USAGE, "nothing was done", "see `ringfence measure --help`",
			       "measure: needs the name of one VM");
	code = rf_vm_find(operands.items[0], &vm);
	if (code != RF_EXIT_OK)
		return code;
	err = ask(vm.state_dir, &o);
	error = err ? NULL : json_string_value(json_object_get(o, "error"));
	if (error) {
		rf_safe(safe, sizeof(safe), error);
		json_decref(o);
		return rf_fail(RF_EXIT_NO, "there is nothing to measure",
			       "wait until `ringfence status` says sealed", "%s: %s", vm.name,
			       safe);
	}
	if (!err) {
		err = take(o, &m);
		json_decref(o);
	}
	if (err)
		return rf_vm_silent(&vm, err,
				    "what was sealed stays sealed; what it is now is not known");
	return json ? rf_print_json(rf_measurement_json(&m)) : print_table(&m);
}

const struct rf_command rf_command_measure = {
	.name = "measure",
	.usage = "[--json] NAME|STATE-FOLDER",
	.summary = "Measure the sealed memory of a guest, for where it moves to",
	.help = "  -j, --json   as `ringfence run --expect` reads it\n",
	.run = measure,
};
