// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/code.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of "call 0x...", "je 0x...", "loop 0x..." the address; the other forms have no place of one. */
static bool leads_to(const char *text, rf_gva *out)
{
	const char *operand = strchr(text, ' ');
	char *end;

	if ((*text != 'j' && strncmp(text, "call", 4) && strncmp(text, "loop", 4)) || !operand ||
	    strncmp(operand + 1, "0x", 2))
		return false;
	out->v = strtoull(operand + 1, &end, 16);
	return !*end;
}

bool rf_code_next(const struct rf_subject *s, struct rf_disasm *d, const uint8_t *bytes, size_t len,
		  rf_gva at, struct rf_code *out)
{
	size_t n = rf_disasm_length(d, bytes, len, at);
	char text[sizeof(out->text)];
	rf_gva to;

	/* An instruction has 15 bytes at most: where there are as many, it is none. */
	if (!n && len < sizeof(out->bytes))
		return false;
	*out = (struct rf_code){ .at = at, .len = n && n <= sizeof(out->bytes) ? n : 1 };
	memcpy(out->bytes, bytes, out->len);
	rf_subject_place(s, at, out->place);
	rf_disasm_text(d, bytes, len, at, text, sizeof(text));
	rf_safe(out->text, sizeof(out->text), text);
	if (leads_to(out->text, &to))
		rf_subject_place(s, to, out->to);
	return true;
}

json_t *rf_hex_json(const uint8_t *bytes, size_t count)
{
	char text[65] = "";

	for (size_t i = 0; i < count && i < sizeof(text) / 2; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	return json_string(text);
}

json_t *rf_code_json(const struct rf_code *c)
{
	return json_pack("{s:o,s:s,s:o,s:s,s:s}", "at", rf_address_json(c->at.v), "place", c->place,
			 "bytes", rf_hex_json(c->bytes, c->len), "text", c->text, "to", c->to);
}
