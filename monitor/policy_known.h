/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a policy names that policy/ does not know: checks. Asked when a policy is first taken; a
 * monitor of another release that goes on with one does nothing about names it has not got. */
#ifndef RF_MONITOR_POLICY_KNOWN_H
#define RF_MONITOR_POLICY_KNOWN_H

#include "policy/keys.h"
#include "policy/reload.h"

/*
 * 0, or -EBADMSG with *diag where a list names what is no check, or two keys want different things
 * of one. lines: rf_policy_lines() of its text.
 */
int rf_policy_know(const struct rf_policy *p, const unsigned int *lines,
		   struct rf_policy_diag *diag);
/* rf_policy_parse(), and that. */
int rf_policy_parse_known(const char *text, size_t len, struct rf_policy_diag *diag,
			  struct rf_policy *out);
/* rf_reload_judge(), and that. */
void rf_reload_judge_known(const struct rf_reload *q, struct rf_reloaded *out);

#endif
