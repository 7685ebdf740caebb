// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/jsonline.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void put(struct rf_jsonline *j, const char *bytes, size_t len)
{
	if (j->overflow || len > j->cap - j->len) {
		j->overflow = true;
		return;
	}
	memcpy(j->buf + j->len, bytes, len);
	j->len += len;
}

static void put_char(struct rf_jsonline *j, unsigned int c)
{
	char escaped[12];

	if (c == '"' || c == '\\')
		put(j, escaped, (size_t)snprintf(escaped, sizeof(escaped), "\\%c", c));
	else if (c < 0x20 || c > 0x7e)
		put(j, escaped, (size_t)snprintf(escaped, sizeof(escaped), "\\u%04x", c));
	else
		put(j, &(char){ (char)c }, 1);
}

static void put_string(struct rf_jsonline *j, const char *text, size_t max)
{
	put(j, "\"", 1);
	for (size_t i = 0; i < max && text[i]; i++)
		put_char(j, (unsigned char)text[i]);
	put(j, "\"", 1);
}

static void put_name(struct rf_jsonline *j, const char *name)
{
	if (j->comma)
		put(j, ",", 1);
	put(j, "\"", 1);
	put(j, name, strlen(name));
	put(j, "\":", 2);
	j->comma = true;
}

void rf_jsonline_begin(struct rf_jsonline *j, char *buf, size_t cap)
{
	*j = (struct rf_jsonline){ .buf = buf, .cap = cap };
	put(j, "{", 1);
}

int rf_jsonline_end(struct rf_jsonline *j)
{
	put(j, "}\n", 2);
	return j->overflow ? -EMSGSIZE : 0;
}

void rf_jsonline_text(struct rf_jsonline *j, const char *name, const char *text, size_t max)
{
	put_name(j, name);
	put_string(j, text, max);
}

/* Of three bytes, a character; what is no such one counts as one byte. */
static unsigned int utf8_three(const char *text)
{
	const unsigned char *b = (const unsigned char *)text;

	return (b[0] & 0xf0) == 0xe0 && (b[1] & 0xc0) == 0x80 && (b[2] & 0xc0) == 0x80
		       ? (b[0] & 0xfu) << 12 | (b[1] & 0x3fu) << 6 | (b[2] & 0x3fu)
		       : 0;
}

void rf_jsonline_utf8(struct rf_jsonline *j, const char *name, const char *text, size_t max)
{
	put_name(j, name);
	put(j, "\"", 1);
	for (size_t i = 0; i < max && text[i]; i++) {
		unsigned int c = utf8_three(text + i);

		put_char(j, c ? c : (unsigned char)text[i]);
		i += c ? 2 : 0;
	}
	put(j, "\"", 1);
}

static void put_plain(struct rf_jsonline *j, const char *name, const char *text, int len)
{
	put_name(j, name);
	put(j, text, (size_t)len);
}

void rf_jsonline_number(struct rf_jsonline *j, const char *name, uint64_t value)
{
	char text[24];

	put_plain(j, name, text, snprintf(text, sizeof(text), "%" PRIu64, value));
}

void rf_jsonline_signed(struct rf_jsonline *j, const char *name, int64_t value)
{
	char text[24];

	put_plain(j, name, text, snprintf(text, sizeof(text), "%" PRId64, value));
}

void rf_jsonline_bool(struct rf_jsonline *j, const char *name, bool value)
{
	put_plain(j, name, value ? "true" : "false", value ? 4 : 5);
}

void rf_jsonline_address(struct rf_jsonline *j, const char *name, uint64_t value)
{
	char text[24];

	put_plain(j, name, text, snprintf(text, sizeof(text), "\"0x%" PRIx64 "\"", value));
}

void rf_jsonline_hex(struct rf_jsonline *j, const char *name, const uint8_t *bytes, size_t len)
{
	static const char digit[] = "0123456789abcdef";

	put_name(j, name);
	put(j, "\"", 1);
	for (size_t i = 0; i < len; i++) {
		char pair[2] = { digit[bytes[i] >> 4], digit[bytes[i] & 15] };

		put(j, pair, 2);
	}
	put(j, "\"", 1);
}

void rf_jsonline_open(struct rf_jsonline *j, const char *name)
{
	put_name(j, name);
	put(j, "{", 1);
	j->comma = false;
}

void rf_jsonline_close(struct rf_jsonline *j)
{
	put(j, "}", 1);
	j->comma = true;
}
