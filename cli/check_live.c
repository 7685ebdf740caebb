// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/check_live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/check.h"
#include "cli/control.h"

static const char *text_of(const json_t *o, const char *member)
{
	return json_string_value(json_object_get(o, member)) ?: "";
}

static bool is_asked(const struct rf_operands *operands, const char *name)
{
	for (int i = 1; i < operands->count; i++)
		if (!strcmp(operands->items[i], name))
			return true;
	return operands->count == 1;
}

/* What the monitor calls it; 0: it has not run yet, or a guard looks for it. */
static enum rf_check_state state_of(const json_t *o)
{
	for (int state = RF_CHECK_CLEAN; state <= RF_CHECK_UNDECIDED; state++)
		if (!strcmp(text_of(o, "state"), rf_check_state_text((enum rf_check_state)state)))
			return (enum rf_check_state)state;
	return 0;
}

static void take_result(const struct rf_operands *operands, const json_t *o, bool say,
			struct rf_check_report *r, size_t *waiting, size_t *off)
{
	const struct rf_check *check = rf_check_named(text_of(o, "name"));
	enum rf_check_state state = state_of(o);
	struct rf_check_result *result = &r->results[r->result_count];

	const char *guard = text_of(o, "guard");
	char safe[32];

	if (!check || !is_asked(operands, check->name))
		return;
	if (!strcmp(text_of(o, "state"), "off")) {
		if (say)
			printf("%s: not run: the policy names it in checks_off\n", check->name);
		*off += operands->count > 1; /* it was asked for */
		return;
	}
	rf_safe(safe, sizeof(safe), guard);
	if (*guard && operands->count > 1 && say)
		printf("%s: looked for by the guard of %s (`ringfence status`), which writes it "
		       "down; not shown here\n",
		       check->name, safe);
	if (*guard)
		return;
	if (!state) {
		++*waiting;
		return;
	}
	*result = (struct rf_check_result){ .check = check, .state = state };
	rf_safe(result->why, sizeof(result->why), text_of(o, "why"));
	r->result_count++;
	r->count[state]++;
}

/* Once seen it may be a moment's: that is told when it is seen again. */
static void take_finding(const struct rf_operands *operands, const json_t *o,
			 struct rf_check_report *r)
{
	const struct rf_check *check = rf_check_named(text_of(o, "check"));
	struct rf_check_finding *f = &r->findings[r->finding_count];

	if (!check || !is_asked(operands, check->name) || !json_is_true(json_object_get(o, "told")))
		return;
	*f = (struct rf_check_finding){
		.check = check,
		.object = rf_gva_of(strtoull(text_of(o, "object"), NULL, 16)),
		.target = rf_gva_of(strtoull(text_of(o, "target"), NULL, 16)),
	};
	rf_safe(f->what, sizeof(f->what), text_of(o, "what"));
	rf_safe(f->owner, sizeof(f->owner), text_of(o, "owner"));
	rf_safe(f->symbol, sizeof(f->symbol), text_of(o, "symbol"));
	rf_safe(f->reason, sizeof(f->reason), text_of(o, "reason"));
	r->finding_count++;
	r->found++;
}

/* json: all of the answer, with the same exit code. */
static int show(const struct rf_operands *operands, const struct rf_vm *vm, json_t *answer,
		bool json)
{
	const json_t *states = json_object_get(answer, "checks");
	const json_t *findings = json_object_get(answer, "findings");
	struct rf_check_report r = {
		.results = calloc(json_array_size(states) + 1, sizeof(*r.results)),
		.findings = calloc(json_array_size(findings) + 1, sizeof(*r.findings)),
	};
	const struct rf_subject s = { .name = vm->name, .live = true };
	size_t i, waiting = 0, off = 0;
	json_t *o;
	int code;

	if (!r.results || !r.findings) {
		free(r.results);
		free(r.findings);
		return rf_fail(RF_EXIT_INTERNAL, "the answer is not shown", "free some memory",
			       "no memory");
	}
	json_array_foreach(states, i, o) take_result(operands, o, !json, &r, &waiting, &off);
	json_array_foreach(findings, i, o) take_finding(operands, o, &r);
	code = json ? rf_print_json(json_incref(answer)) : rf_check_show(&s, &r);
	if (waiting && !json)
		printf("%zu more have not run yet since the kernel was sealed\n", waiting);
	if (code == RF_EXIT_OK && r.found)
		code = RF_EXIT_NO;
	else if (code == RF_EXIT_OK &&
		 (waiting || off || !r.result_count || r.count[RF_CHECK_CLEAN] != r.result_count))
		code = RF_EXIT_CANNOT_TELL;
	free(r.results);
	free(r.findings);
	return code;
}

int rf_check_live(const struct rf_command *c, const struct rf_operands *operands, bool json)
{
	static const struct rf_question question = {
		.cmd = "check",
		.nothing = "nothing is checked",
		.unknown = "what was sealed stays sealed; what checks have found is in the log",
	};
	const struct rf_operands vm_alone = { .items = operands->items, .count = 1 };
	struct rf_vm vm;
	json_t *answer;
	int code = rf_vm_ask(c, &vm_alone, &question, &vm, &answer);

	if (code != RF_EXIT_OK)
		return code;
	if (!json_is_true(json_object_get(answer, "on"))) {
		json_decref(answer);
		return rf_fail(RF_EXIT_CANNOT_TELL, "nothing is checked in this guest",
			       "see guards in `ringfence status`",
			       "%s: its checks are off, or its kernel's types are not known",
			       vm.name);
	}
	code = show(operands, &vm, answer, json);
	json_decref(answer);
	return code;
}
